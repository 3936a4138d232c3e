"""A training resumes in the same or another number of processes."""

import json
import shutil
import sys

import numpy as np
import pytest

from bptt_keras.distribute.launching import launch

pytestmark = pytest.mark.slow
OTHER = {"timesteps_per_second", "exchange_share"}


def run(folder, case, workers, die=0):
    command = [sys.executable, "-m", "tests.distribute.resuming"]
    arguments = [str(folder), case, str(die)]
    return launch([*command, *arguments], workers, pin=False)


@pytest.mark.parametrize("case", ["streams", "arrays", "three windows", "overlapping"])
def test_it_ends_as_if_it_had_not_been_killed(case, tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    assert run(whole, case, 1) == 0
    assert run(killed, case, 2, die=13) == 0
    assert list((killed / "saves").glob("save-*")) and not list(killed.glob("*.json"))
    for workers in (1, 2, 3):
        again = tmp_path / str(workers)
        shutil.copytree(killed, again)
        assert run(again, case, workers) == 0
        require_same(again, whole)


def require_same(found, expected):
    ours, theirs = (np.load(folder / "weights.npz") for folder in (found, expected))
    for name in theirs.files:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-5)
    ours, theirs = (
        json.loads((folder / "told.json").read_text())["history"]
        for folder in (found, expected)
    )
    for name in set(theirs) - OTHER:
        np.testing.assert_allclose(ours[name], theirs[name], atol=1e-5, err_msg=name)
    lines = [(f / "log.csv").read_text().splitlines() for f in (found, expected)]
    assert len(lines[0]) == len(lines[1]) == 5


def test_another_save_in_one_process_is_refused(tmp_path):
    assert run(tmp_path, "arrays", 2, die=13) == 0
    # The folders differ, as if it were not shared.
    program = (
        "import sys, json, os; from tests.distribute import resuming;"
        "i = json.loads(os.environ['TF_CONFIG'])['task']['index'];"
        f"resuming.main({str(tmp_path)!r} + '/none' * i, 'arrays', '0')"
    )
    assert launch([sys.executable, "-c", program], 2, pin=False) == 1
