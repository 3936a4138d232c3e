import sys

import numpy as np
import pytest

from tests.zoo.tuning.made_up import TRIALS, job, measured
from zoo.system.errors import ZooError
from zoo.tuning.pictures.importance import importance

pytest.importorskip("sklearn")
RNG = np.random.default_rng(0)
RATES, UNITS = 10 ** RNG.uniform(-4, -1, 40), RNG.integers(32, 256, 40)
SPACE = {
    "units": {"low": 32, "high": 256},
    "learning_rate": {"low": 1e-4, "high": 1e-1, "log": True},
}


def values(i):
    return {"units": int(UNITS[i]), "learning_rate": float(RATES[i])}


def loss(rate):
    return 2 + abs(np.log10(rate) + 2.5)


@pytest.fixture(scope="module")
def found():
    return importance(measured(map(loss, RATES), values, space=SPACE))


def test_decisive_hyperparameters_are_more_important_than_others(found):
    rate, _ = found.bars["learning_rate"]
    units, error = found.bars["units"]
    assert rate > 0.5 and abs(units) < max(0.1, 2 * error)
    assert found.explained > 0.5 and found.trials == 40


def test_the_same_job_gives_the_same_importances(found):
    again = importance(measured(map(loss, RATES), values, space=SPACE))
    assert again.bars == found.bars


def test_values_that_diverged_change_little(found):
    losses = [1e9 if rate > 0.05 else loss(rate) for rate in RATES]
    diverged = importance(measured(losses, values, space=SPACE))
    assert diverged.bars["learning_rate"][0] > 0.5


def test_a_hyperparameter_gets_no_credit_for_being_in_use():
    def conditional(i):
        if i % 2:
            return {"optimizer": "sgd", "momentum": float(UNITS[i] / 256)}
        return {"optimizer": "adam"}

    space = {
        "optimizer": {"choices": ["adam", "sgd"]},
        "momentum": {"low": 0, "high": 1},
    }
    losses = [2 + i % 2 + 1e-3 * RNG.normal() for i in range(40)]
    bars = importance(measured(losses, conditional, space=space)).bars
    assert bars["optimizer"][0] > 10 * abs(bars["momentum"][0])


@pytest.mark.parametrize("count", [0, 7])
def test_too_few_trials_have_no_importance(count):
    failed = [trial for trial in TRIALS if trial.status in ("failed", "running")]
    few = measured(range(2, 2 + count)).trials
    found = importance(job([*few, *failed]))
    assert found.bars is None and found.trials == count


def test_without_scikit_learn_the_error_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.ensemble", None)
    with pytest.raises(ZooError, match=r"bptt_keras\[tuner\]"):
        importance(measured(range(1, 10)))
