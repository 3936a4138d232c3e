"""Several processes train what one would train with the whole batch."""

import json
import sys

import numpy as np
import pytest

from bptt_keras.distribute.launching import launch
from tests.distribute.program import CASES, trained

QUICK = ("arrays", "streams")
# What depends on the time, or is only in one of both.
OTHER = {"timesteps_per_second", "exchange_share"}


def run(folder, cases, workers):
    command = [sys.executable, "-m", "tests.distribute.program", str(folder), *cases]
    assert launch(command, workers, pin=False) == 0


@pytest.fixture(scope="session")
def folder_of_two(tmp_path_factory):
    """Two processes have trained the quick cases, one after the other."""
    folder = tmp_path_factory.mktemp("two")
    run(folder, QUICK, 2)
    return folder


@pytest.fixture(scope="session")
def folder_of_slow(tmp_path_factory):
    """Two processes have trained all other cases."""
    folder = tmp_path_factory.mktemp("two-slow")
    run(folder, [case for case in CASES if case not in QUICK], 2)
    return folder


@pytest.mark.parametrize("case", QUICK)
def test_two_processes_train_as_one(case, folder_of_two):
    require_same(case, folder_of_two, 2)


@pytest.mark.slow
@pytest.mark.parametrize("case", [case for case in CASES if case not in QUICK])
def test_two_processes_train_as_one_in_every_case(case, folder_of_slow):
    require_same(case, folder_of_slow, 2)


@pytest.mark.slow
def test_three_processes_train_as_one(tmp_path):
    run(tmp_path, ["arrays", "lists"], 3)
    require_same("arrays", tmp_path, 3)
    require_same("lists", tmp_path, 3)


def require_same(case, folder, workers):
    alone, expected = trained(case)
    weights = [v.numpy() for v in alone.weights]
    for process in range(workers):
        stem = folder / f"{case}-{process}"
        found = np.load(f"{stem}.npz")
        for name, value in zip(found.files, weights, strict=True):
            np.testing.assert_allclose(found[name], value, atol=1e-5)
        told = json.loads(stem.with_name(f"{stem.name}.json").read_text())
        for part in ("history", "logs"):
            assert set(told[part]) - OTHER == set(expected[part]) - OTHER
            for name in set(expected[part]) - OTHER:
                np.testing.assert_allclose(
                    told[part][name], expected[part][name], atol=1e-5, err_msg=name
                )
        assert all(0 <= share <= 1 for share in told["history"]["exchange_share"])
    others = [np.load(folder / f"{case}-{i}.npz") for i in range(workers)]
    for name in others[0].files:
        for other in others[1:]:
            np.testing.assert_array_equal(others[0][name], other[name])
