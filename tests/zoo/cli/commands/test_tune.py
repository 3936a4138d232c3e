import csv
import json
import os
import signal
import subprocess
import sys
import time

import pytest

from zoo.cli.main import main

TINY = ["--units", "4", "--length", "64", "--epochs", "2", "--batch-size", "4"]


def command(out, *options, task="delayed-echo"):
    return [sys.executable, "-m", "zoo", "tune", task, "--out", str(out), *options]


def run(out, *options, **kwargs):
    return subprocess.run(
        command(out, *TINY, *options), capture_output=True, text=True, **kwargs
    )


def refused(capsys, *arguments):
    assert main(["tune", *arguments]) == 2
    return capsys.readouterr().err


@pytest.fixture
def begun(tmp_path):
    """A folder with what a job was begun with, but for its state."""
    from zoo.cli.commands.tune import definition
    from zoo.tasks import TASKS
    from zoo.tuning.space import space_of

    task = TASKS["delayed-echo"]
    recipe = task.recipe_for(None)
    space = space_of(task, recipe, {})
    facts = {"task": task.NAME, "data": "echo-8"}
    facts |= {"recipe": dict(vars(recipe)), "engine": "keras-tuner"}
    facts |= {"tuner": "random", "seeds": 1}
    (tmp_path / "tune.json").write_text(json.dumps(definition(facts, space)))
    return tmp_path


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--learning-rate", "1e-3:1e-2"], "learning_rate was 0.0006 to 0.015 (log)"),
        (["--units", "8:16"], "units was not there, is 8 to 16"),
        (["--epochs", "3"], "epochs was 10, is 3"),
        (["--tuner", "grid"], "tuner was random, is grid"),
        (["--seeds", "2"], "seeds was 1, is 2"),
    ],
)
@pytest.mark.quick(2)
def test_a_changed_job_is_refused_immediately(begun, options, words):
    # Which takes a moment, as nothing large is imported for it.
    arguments = command(begun, *options)[3:]
    code = (
        f"import sys\nfrom zoo.cli.main import main\nassert main({arguments}) == 2\n"
        "assert 'tensorflow' not in sys.modules and 'keras' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert words in done.stderr
    assert not (begun / "job.json").exists()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--trials", "0"], "`--trials` must be at least 1"),
        (["--budget", "0"], "`--budget` must be above 0"),
        (["--workers", "0"], "`--workers` must be at least 1"),
        (["--seeds", "0"], "`--seeds` must be at least 1"),
        (["--pruner", "asha"], "`--pruner` needs --engine optuna"),
        (["--storage", "sqlite:///a.db"], "`--storage` needs --engine optuna"),
        (["--engine", "optuna", "--tuner", "grid"], "Optuna has random and bayesian"),
        (["--tuner", "hyperband", "--trials", "3"], "`--trials` does not go with"),
        (["--learning-rate", "2:1"], "empty range"),
        (["--recipe", "nowhere.json"], "does not exist: nowhere.json"),
    ],
)
def test_an_impossible_job_is_refused(tmp_path, capsys, options, words):
    out = tmp_path / "job"
    assert words in refused(capsys, "delayed-echo", "--out", str(out), *options)
    assert not out.exists()


def test_an_unknown_field_is_refused(tmp_path, capsys):
    out = str(tmp_path / "job")
    assert "--speed" in refused(capsys, "delayed-echo", "--out", out, "--speed", "1")


def test_a_folder_with_other_content_is_refused(tmp_path, capsys):
    (tmp_path / "thesis.tex").write_text("")
    words = refused(capsys, "delayed-echo", "--out", str(tmp_path))
    assert "holds no job of this command" in words


def test_a_recipe_of_another_task_is_refused(tmp_path, capsys):
    path = tmp_path / "best.json"
    path.write_text(json.dumps({"task": "char-lm", "recipe": {}}))
    arguments = ["adding", "--out", str(tmp_path / "a"), "--recipe", str(path)]
    assert main(["train", *arguments]) == 2
    assert "one of 'char-lm', not of adding" in capsys.readouterr().err
    path.write_text("{")
    assert main(["train", *arguments]) == 2
    assert "a file that bptt-zoo tune has written" in capsys.readouterr().err


@pytest.mark.slow
def test_a_job_killed_anywhere_ends_like_one_without_kills(tmp_path):
    options = ["--trials", "4", "--workers", "2"]
    whole = run(tmp_path / "whole", *options)
    assert whole.returncode == 0, whole.stderr
    for seconds in (8, 11, 14):
        process = subprocess.Popen(
            command(tmp_path / "killed", *TINY, *options), stdout=subprocess.DEVNULL
        )
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert run(tmp_path / "killed", *options).returncode == 0

    def table(name):
        with open(tmp_path / name / "trials.csv", newline="") as file:
            rows = list(csv.DictReader(file))
        told = ("seconds", "worker")
        return [{k: v for k, v in row.items() if k not in told} for row in rows]

    assert table("killed") == table("whole")
    assert len(table("whole")) == 4
    best = json.loads((tmp_path / "whole" / "best.json").read_text())
    trained = tmp_path / "trained"
    arguments = ["train", "delayed-echo", "--recipe", str(tmp_path / "whole/best.json")]
    done = subprocess.run(
        [sys.executable, "-m", "zoo", *arguments, "--out", str(trained)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    metadata = json.loads((trained / "preset" / "metadata.json").read_text())
    assert metadata["metric"]["validation"] == best["value"]
    for name in ("report.html", "against.png", "tensorboard", "progress.png"):
        assert (tmp_path / "whole" / name).exists()


@pytest.mark.slow
def test_a_job_whose_trials_all_fail_ends_with_a_table_of_causes(tmp_path):
    done = run(tmp_path, "--trials", "3", "--window", "100:200")
    assert done.returncode == 1
    assert "All 3 trials failed" in done.stderr
    assert "3 x " in done.stderr


@pytest.mark.slow
def test_the_budget_ends_a_job_and_a_larger_one_resumes_it(tmp_path):
    began = time.perf_counter()
    done = run(tmp_path, "--epochs", "4000", "--trials", "2", "--budget", "0.5")
    assert done.returncode == 0, done.stderr
    # Starting and ending Python come on top.
    assert time.perf_counter() - began < 30 + 30
    assert "the budget is used up" in done.stdout
    with open(tmp_path / "trials.csv", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["status"] for row in rows] == ["cut"]
    assert (tmp_path / "best.json").exists()
    before = len(json.loads(_state(tmp_path))["facts"]["0"]["curve"])
    run(tmp_path, "--epochs", "4000", "--trials", "2", "--budget", "1.2")
    assert len(json.loads(_state(tmp_path))["facts"]["0"]["curve"]) > before


def _state(folder):
    return json.loads((folder / "job.json").read_text())["value"]


@pytest.mark.slow
def test_optuna_searches_with_the_same_command(tmp_path):
    database = f"sqlite:///{tmp_path}/study.db"
    options = ["--engine", "optuna", "--tuner", "bayesian", "--storage", database]
    assert run(tmp_path / "job", *options, "--trials", "2").returncode == 0
    assert run(tmp_path / "job", *options, "--trials", "3").returncode == 0
    optuna = pytest.importorskip("optuna")
    study = optuna.load_study(study_name="job", storage=database)
    assert len(study.trials) == 3
    assert os.path.exists(tmp_path / "job" / "best.json")


def test_trials_need_a_validation_set(tmp_path, capsys):
    data = ["--data", str(tmp_path / "a.ts"), "--validation", "none"]
    assert main(["tune", "classification", "--out", str(tmp_path / "a"), *data]) == 2
    assert "nothing that trials could be judged by" in capsys.readouterr().err
