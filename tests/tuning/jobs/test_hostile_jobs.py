"""A folder of a job that someone else has made is refused in one sentence."""

import copy
import hashlib
import json
import os

import pytest

from bptt_keras.files import LARGEST_JSON
from bptt_keras.tuning.jobs import searches
from bptt_keras.tuning.jobs.state import check_state
from bptt_keras.tuning.jobs.store import DamagedError, Store
from tests.tuning.made_up_jobs import begin, opened, space
from tests.tuning.trained import search, tuner
from tests.zoo.hostile.bounds import refusal
from zoo.system.errors import UserError


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """The state of a job with a trial that runs."""
    folder = tmp_path_factory.mktemp("job")
    begin(opened(folder, searches.RandomSearchOracle, space(), max_trials=3))
    return Store(folder / "job.json").read()[0]


def put(*path):
    """A function that replaces a value, or all that a path of keys leads to."""
    *keys, value = path

    def change(state):
        for key in keys[:-1]:
            state = state[key]
        state[keys[-1]] = value

    return change


def trial(**values):
    return lambda state: state["trials"][0].update(values)


def hyperparameters(**values):
    return lambda state: state["trials"][0]["hyperparameters"].update(values)


def facts(**values):
    return lambda state: next(iter(state["facts"].values())).update(values)


MODULE = {"class_name": "Int", "module": "subprocess", "config": {}}
HOSTILE = {
    "no definition": lambda state: state.pop("definition"),
    "definition that is text": put("definition", "x"),
    "definition without a space": put("definition", "space", None),
    "no trials": lambda state: state.pop("trials"),
    "trials that are text": put("trials", "x"),
    "trial that is a number": put("trials", [1]),
    "trial outside": trial(trial_id="../../outside"),
    "trial at a path": trial(trial_id="/tmp/outside"),
    "trial that is the folder": trial(trial_id="."),
    "trial with a null": trial(trial_id="a\0"),
    "trial that is a number of 400 digits": trial(trial_id=10**400),
    "trial without hyperparameters": trial(hyperparameters=None),
    "trial of an unknown status": trial(status=["x"]),
    "trial without a metric": trial(metrics={"metrics": {"val_loss": 3}}),
    "class that is a command": hyperparameters(
        space=[{"class_name": "Popen", "config": {"args": "x"}}]
    ),
    "class of another module": hyperparameters(space=[MODULE]),
    "condition of another module": hyperparameters(
        space=[{"class_name": "Int", "config": {"conditions": [MODULE]}}]
    ),
    "values that are a list": hyperparameters(values=[]),
    "value that is a list": hyperparameters(values={"x": [[]]}),
    "trial that begins outside": hyperparameters(
        values={"tuner/trial_id": "../../outside"}
    ),
    "worker without a trial": put("ongoing_trials", {"w": "9"}),
    "queue of numbers": put("retry_queue", [1]),
    "queue that is text": put("retry_queue", "x"),
    "order of other trials": put("start_order", ["../x"]),
    "time below zero": put("spent", -1.0),
    "time without end": put("spent", float("inf")),
    "time that is text": put("spent", "1"),
    "facts that are a list": put("facts", []),
    "curve of text": facts(curve=["1"]),
    "curve that is text": facts(curve="1"),
    "attempts that are text": facts(attempts="1"),
    "seed that is a list": put("seed_state", {}),
    "hashes that are a list": put("id_to_hash", []),
    "no space": put("hyperparameters", {}),
    "display that is text": put("display", "x"),
}


def read(folder):
    """Opens the job in a folder; a refusal becomes one of the zoo's."""
    try:
        opened(folder, searches.RandomSearchOracle, space(), max_trials=3)
        oracle = opened(folder, searches.RandomSearchOracle, space(), max_trials=3)
        begin(oracle)
    except DamagedError as error:
        raise UserError(str(error)) from None


def refused(folder):
    """The words of the refusal of a job."""
    return refusal(read, folder)


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.quick(9)
def test_a_state_that_is_none_is_refused(tmp_path, state, name):
    changed = copy.deepcopy(state)
    HOSTILE[name](changed)
    (tmp_path / "job").mkdir()
    Store(tmp_path / "job" / "job.json").write(changed)
    assert "holds no state of such a job" in refused(tmp_path / "job")
    assert [path.name for path in tmp_path.iterdir()] == ["job"]


def test_the_state_of_a_job_passes(state):
    check_state(state)


RAW = {
    "nested a million deep": b"[" * 1_000_000,
    "value nested a million deep": None,
    "a million objects": None,
    "no UTF-8": b'{"value": "\xff"}',
    "a list": b"[]",
}


def sealed(text):
    """A file whose checksum is right."""
    sha256 = hashlib.sha256(text.encode()).hexdigest()
    return json.dumps({"sha256": sha256, "value": text}).encode()


@pytest.mark.parametrize("name", RAW)
def test_a_file_that_is_no_such_json_is_refused(tmp_path, name):
    content = RAW[name] or sealed(
        "[" * 1_000_000 if "nested" in name else "[" + "{}," * 1_000_000 + "{}]"
    )
    (tmp_path / "job.json").write_bytes(content)
    assert "cannot be read" in refused(tmp_path)


def test_a_pipe_and_a_huge_file_are_refused(tmp_path):
    path = tmp_path / "job.json"
    os.mkfifo(path)
    assert "cannot be read" in refused(tmp_path)
    path.unlink()
    path.write_bytes(b"{")
    os.truncate(path, 20 * 2**30)
    assert "cannot be read" in refused(tmp_path)


def test_a_state_that_would_not_be_read_again_is_not_written(tmp_path):
    store = Store(tmp_path / "job.json")
    store.write(1)
    with pytest.raises(ValueError, match="at most .* are read again"):
        store.write("x" * LARGEST_JSON)
    assert store.read() == (1, None)


@pytest.mark.parametrize(
    "name", ["job.lock", ".job.json.new", "best.json", "trial_0", "trial_0/x.json"]
)
def test_links_in_the_folder_of_a_job_are_refused(tmp_path, name):
    outside = tmp_path / "outside"
    outside.write_text("precious")
    link = tmp_path / "job" / name
    link.parent.mkdir(parents=True)
    link.symlink_to(outside)
    with pytest.raises(ValueError, match="is a link, through which other files could"):
        search(tuner(tmp_path / "job"))
    assert outside.read_text() == "precious"
