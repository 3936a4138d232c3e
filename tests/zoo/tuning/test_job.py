import pytest

from tests.zoo.tuning.made_up import TRIALS, VALUES, job
from zoo.tuning.job import Job, Trial


def test_the_best_is_finite_and_not_pruned():
    assert job().best.name == "02"
    assert job(higher=True).best.name == "04"
    infinite = Trial("09", "completed", VALUES, float("inf"))
    assert job([*TRIALS, infinite], higher=True).best.name == "04"


def test_a_cut_or_running_trial_can_be_the_best():
    for status in ("cut", "running"):
        assert job([Trial("00", status, {}, 1.0)]).best.name == "00"


@pytest.mark.parametrize("status", ["failed", "pruned", "waiting"])
def test_without_a_result_there_is_no_best(status):
    assert job([]).best is None
    assert job([Trial("00", status, {}, 1.0)]).best is None
    assert job([Trial("00", "completed", {}, None)]).best is None


def test_a_failure_has_no_result_whatever_its_value():
    assert Trial("00", "completed", {}, 1.0).measured
    for status, value in (("failed", 1.0), ("completed", float("inf"))):
        assert not Trial("00", status, {}, value).measured


def test_ranks_are_results_then_pruned_then_the_others_failures_last():
    names = [trial.name for trial in job().ranked]
    assert names == ["02", "06", "00", "04", "03", "05", "07", "08", "01"]
    assert [t.name for t in job(higher=True).ranked][:4] == ["04", "00", "06", "02"]


def test_names_are_in_the_order_of_the_space_then_of_occurrence():
    trial = Trial("00", "completed", {"new": 1, "units": 2}, 1.0)
    expected = ("layer", "units", "learning_rate", "window", "clip", "new")
    assert job([trial]).names == expected


def test_choices_that_are_equal_but_of_different_types_are_separate():
    trials = [
        Trial(str(i), "completed", {"a": v}, 1.0) for i, v in enumerate([1, True])
    ]
    made = Job("x", "y", space={"a": {"choices": [1, None]}}, trials=tuple(trials))
    assert [repr(choice) for choice in made.choices("a")] == ["1", "None", "True"]


def test_kinds_of_hyperparameters_outside_the_space_are_seen_from_their_values():
    values = {"a": 1, "b": 0.5, "c": True, "d": "x"}
    made = job([Trial("00", "completed", values, 1.0)])
    assert [made.numeric(name) for name in "abcd"] == [True, True, False, False]
    assert made.numeric("units") and not made.numeric("window")


def test_the_time_that_is_left_is_not_negative():
    assert job().left == 3600.0
    assert job(seconds=4000.0).left == 0.0
    assert job(budget=None).left is None


def test_an_unknown_status_is_refused():
    with pytest.raises(ValueError, match="Received: status='done'"):
        Trial("00", "done", {}, 1.0)
