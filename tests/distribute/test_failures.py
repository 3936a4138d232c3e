"""One of several processes goes wrong: the others end, and say why."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from bptt_keras.distribute.launching import _free_ports

pytestmark = pytest.mark.slow


def ended(how, workers=2):
    """What each process has printed, and its exit status."""
    addresses = [f"localhost:{port}" for port in _free_ports(workers)]
    processes = []
    for index in range(workers):
        task = {"type": "worker", "index": index}
        known = json.dumps({"cluster": {"worker": addresses}, "task": task})
        processes.append(
            subprocess.Popen(
                [sys.executable, "-m", "tests.distribute.failing", how],
                env={**os.environ, "TF_CONFIG": known},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        )
    try:
        first = processes[0].communicate(timeout=120)[0]
    finally:
        if how == "hang":
            processes[-1].kill()
    printed = [first, *(p.communicate(timeout=60)[0] for p in processes[1:])]
    return printed, [process.returncode for process in processes]


def moment(printed, word):
    (line,) = [x for x in printed.splitlines() if x.startswith(word)]
    return float(line.split()[1])


@pytest.mark.parametrize(
    ("how", "status"),
    [("kill", -signal.SIGKILL), ("raise", 1), ("end", 0)],
)
@pytest.mark.parametrize("workers", [2, 3])
def test_the_others_end_within_5_s_if_one_has_ended(how, status, workers):
    printed, codes = ended(how, workers)
    assert codes == [3] * (workers - 1) + [status]
    for other in printed[:-1]:
        assert f"Process {workers - 1} (localhost:" in other
        assert "has ended" in other
        assert moment(other, "TOLD") - moment(printed[-1], "AT") < 5


def test_the_others_end_when_one_does_not_answer_in_time():
    began = time.time()
    printed, codes = ended("hang")
    assert codes[0] == 3 and time.time() - began < 110
    silent = "does not answer process 0 any more", "has not answered process 0 for 20 s"
    assert any(words in printed[0] for words in silent)
    assert 7 < moment(printed[0], "TOLD") - moment(printed[1], "AT") < 30


def test_a_callback_that_ends_one_ends_all():
    printed, codes = ended("stop")
    assert codes == [0, 0]
    assert all("EPOCHS 2" in text for text in printed)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ("other data", "their data differ"),
        ("other window", "their trainer differ"),
        ("other order", "have drawn different batches"),
        ("rows depend", "rows depend on one another"),
        ("eager", "run_eagerly=True"),
        ("backup", "`BackupAndRestore` begins"),
        ("late", "TensorFlow has computed something before"),
        ("twice", "was called before"),
    ],
)
def test_what_cannot_be_trained_together_is_refused_in_all(how, words):
    printed, codes = ended(how)
    assert 0 not in codes
    assert all(words in text for text in printed), printed
