import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from bptt_keras.tuning.jobs import workers as module
from bptt_keras.tuning.jobs.workers import Workers, own_command, shares

# --- Cores ---------------------------------------------------------------------------


@pytest.fixture
def cores(monkeypatch):
    def have(count):
        monkeypatch.setattr(
            os, "sched_getaffinity", lambda _: set(range(count)), raising=False
        )

    return have


@pytest.mark.parametrize(("count", "have"), [(2, 2), (2, 8), (3, 8), (1, 4), (8, 8)])
def test_the_cores_are_divided_among_the_workers(cores, count, have):
    cores(have)
    found = shares(count)
    assert len(found) == count
    assert set.union(*found) == set(range(have))
    assert sum(map(len, found)) == have
    assert max(map(len, found)) - min(map(len, found)) <= 1


def test_more_workers_than_cores_have_one_each(cores):
    cores(2)
    assert [len(share) for share in shares(5)] == [1] * 5


def test_where_cores_cannot_be_chosen_none_are(monkeypatch):
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    assert shares(2) == [set(), set()]


# --- The command ---------------------------------------------------------------------


def test_a_prompt_cannot_be_run_again(monkeypatch):
    monkeypatch.delattr(sys.modules["__main__"], "__file__", raising=False)
    with pytest.raises(ValueError, match="a script, not a notebook or a prompt"):
        own_command()


def test_a_script_is_run_again_with_its_arguments(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", "s.py", raising=False)
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "tool", "--x", "1"])
    assert own_command() == [sys.executable, "-m", "tool", "--x", "1"]


# --- Processes -----------------------------------------------------------------------


@pytest.fixture
def workers(monkeypatch):
    """Starts workers that run a program."""
    made = []

    def start(program, count=2, died=lambda name: None):
        monkeypatch.setattr(
            module, "own_command", lambda: [sys.executable, "-S", "-c", program]
        )
        monkeypatch.setattr(module, "_PAUSE", 0.02)
        made.append(Workers(count, 1234, "secret", died))
        return made[-1]

    yield start
    for one in made:
        one.end()


def until(done, seconds=5.0):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_workers_know_their_chief_and_their_name(workers, tmp_path):
    program = (
        "import os, pathlib; e = os.environ;"
        f"p = pathlib.Path({str(tmp_path)!r}, e['KERASTUNER_TUNER_ID']);"
        "p.write_text(':'.join(e[n] for n in ('KERASTUNER_ORACLE_IP',"
        "'KERASTUNER_ORACLE_PORT', 'BPTT_KERAS_TUNING_SECRET', 'OMP_NUM_THREADS')))"
    )
    made = workers(program)
    made.wait(5)
    assert not made.alive
    for name in ("worker-0", "worker-1"):
        told = (tmp_path / name).read_text()
        assert told.startswith("127.0.0.1:1234:secret:")


def test_a_worker_that_died_is_reported_once_and_restarted(workers, capfd):
    told = []
    made = workers("import time; time.sleep(60)", died=told.append)
    first = [place.process.pid for place in made._places]
    os.kill(first[0], signal.SIGKILL)
    until(lambda: made.alive == 1)
    made.tend()
    made.tend()
    assert told == ["worker-0"]
    assert "worker-0 has died (signal 9)" in capfd.readouterr().err

    def tended():
        made.tend()
        return made.alive == 2

    until(tended)
    assert made._places[0].process.pid != first[0]
    assert made._places[1].process.pid == first[1]


def test_when_time_is_up_no_worker_is_restarted(workers):
    made = workers("raise SystemExit(3)")
    made.wait(5)
    for _ in range(10):
        made.tend(restart=False)
        time.sleep(0.02)
    assert not made.alive


def test_a_worker_that_ended_normally_is_not_restarted(workers):
    told = []
    made = workers("pass", died=told.append)
    made.wait(5)
    for _ in range(10):
        made.tend()
        time.sleep(0.02)
    assert not made.alive and told == []


def test_ending_the_workers_leaves_no_process(workers):
    made = workers("import time; time.sleep(60)")
    pids = [place.process.pid for place in made._places]
    made.end()
    assert not made.alive
    for pid in pids:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_workers_that_never_ask_are_of_no_use(workers):
    made = workers("raise SystemExit(1)")
    said = []

    def tended():
        made.tend()
        said.append(made.useless({}))
        return said[-1] is not None

    until(tended)
    assert "died 3 times before it asked" in said[-1]
    assert "exit code 1" in said[-1]


def test_workers_that_asked_before_they_died_are_restarted(workers):
    made = workers("raise SystemExit(1)")
    end = time.monotonic() + 1.0
    while time.monotonic() < end:
        made.tend()
        heard = {place.name: time.monotonic() + 1 for place in made._places}
        assert made.useless(heard) is None
        time.sleep(0.01)


def test_workers_that_end_before_the_job_are_of_no_use(workers):
    made = workers("pass")
    made.wait(5)
    assert "ended before the job" in made.useless({})


# --- Whole jobs, killed at random ----------------------------------------------------

SCRIPT = """
import os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np
import bptt_keras as bk
import bptt_keras.tuning

x = np.random.default_rng(0).normal(size=(32, 3)).astype("float32")
y = x.sum(1, keepdims=True)

def build(hp):
    if FAIL and "KERASTUNER_ORACLE_IP" in os.environ and hp.values:
        raise ValueError("of no use")
    model = keras.Sequential(
        [keras.Input((3,)), keras.layers.Dense(hp.Int("units", 2, 64), "tanh"),
         keras.layers.Dropout(0.2), keras.layers.Dense(1)]
    )
    rate = hp.Float("rate", 1e-3, 1e-1, sampling="log")
    model.compile(keras.optimizers.Adam(rate), "mse", run_eagerly=True)
    return model

class Slow(keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
        import time
        time.sleep(DELAY)

tuner = bk.tuning.RandomSearch(
    build, "val_loss", max_trials=TRIALS, directory=sys.argv[1], project_name="job",
    workers=2,
)
tuner.search(
    x, y, batch_size=8, epochs=3, validation_data=(x, y), callbacks=[Slow()],
)
print("the rest of the program", os.getpid())
"""


def script(folder, root, *, fail=False, trials=6, delay=0.1):
    text = f"FAIL, TRIALS, DELAY = {fail}, {trials}, {delay}\n{SCRIPT}"
    path = folder / "job.py"
    path.write_text(text)
    environment = {**os.environ, "PYTHONPATH": str(root), "CUDA_VISIBLE_DEVICES": ""}
    return [sys.executable, str(path), str(folder)], environment


def children(pid):
    """The processes that a process has started."""
    try:
        with open(f"/proc/{pid}/task/{pid}/children") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def job_table(folder):
    stored = json.loads((folder / "job" / "job.json").read_text())
    state = json.loads(stored["value"])
    return {
        trial["trial_id"]: (
            trial["hyperparameters"]["values"],
            trial["status"],
            trial["score"],
            state["facts"][trial["trial_id"]]["curve"],
        )
        for trial in state["trials"]
    }


@pytest.mark.slow
@pytest.mark.skipif(not os.path.isdir("/proc"), reason="finds its processes in /proc")
def test_a_job_of_two_workers_survives_kills_at_random(tmp_path, root):
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    for folder in (whole, cut):
        folder.mkdir()
    command, environment = script(whole, root, delay=0.0)
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("the rest of the program") == 1
    expected = job_table(whole)
    assert len(expected) == 6

    choice = random.Random(1)
    command, environment = script(cut, root)
    kills, seen = 0, set()
    for _ in range(20):
        with open(tmp_path / "log.txt", "a") as log:
            process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            while process.poll() is None:
                seen.update(children(process.pid))
                end = time.monotonic() + choice.uniform(3.0, 9.0)
                while process.poll() is None and time.monotonic() < end:
                    time.sleep(0.05)
                if kills < 8 and process.poll() is None:
                    # The parent now and then, and a worker otherwise.
                    alive = children(process.pid)
                    victim = choice.choice([process.pid, *alive, *alive])
                    os.kill(victim, signal.SIGKILL)
                    kills += 1
        finally:
            process.kill()
            process.wait()
        if process.returncode == 0:
            break
    assert process.returncode == 0, (tmp_path / "log.txt").read_text()
    assert kills >= 5
    assert job_table(cut) == expected
    # No process of any run is left.
    end = time.monotonic() + 10
    while any(os.path.exists(f"/proc/{pid}") for pid in seen):
        assert time.monotonic() < end
        time.sleep(0.1)


@pytest.mark.slow
def test_a_job_whose_trials_all_fail_ends_immediately_with_an_error(tmp_path, root):
    command, environment = script(tmp_path, root, fail=True, trials=24)
    process = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300
    )
    ended = time.time()
    assert process.returncode not in (0, None)
    assert "All 24 trials failed" in process.stderr
    assert "24 x ValueError: of no use" in process.stderr
    assert "the rest of the program" not in process.stdout
    errors = list((tmp_path / "job").glob("trial_*/error.txt"))
    assert len(errors) == 24
    assert ended - max(path.stat().st_mtime for path in errors) < 10


@pytest.mark.slow
def test_a_program_that_never_searches_again_ends_with_an_error(tmp_path, root):
    command, environment = script(tmp_path, root)
    path = tmp_path / "job.py"
    stop = "import os\nif 'KERASTUNER_ORACLE_IP' in os.environ: raise SystemExit(0)\n"
    path.write_text(stop + path.read_text())
    process = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=300
    )
    assert process.returncode != 0
    assert "All workers have ended before the job has" in process.stderr
