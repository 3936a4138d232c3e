import json
import types

import pytest

from bptt_keras.tuning.results import Results, TuningError, best_row, causes
from tests.tuning.made_up_jobs import begin, finish, opened


@pytest.fixture
def job(tmp_path):
    """An oracle of six trials, and what follows it."""
    oracle = opened(tmp_path / "job", max_trials=6)

    def describe(row):
        return {"trial": row["trial"], "value": row["value"]}

    follower = types.SimpleNamespace(
        own_oracle=oracle,
        executions_per_trial=1,
        folder=tmp_path / "job",
        describe_best=describe,
    )
    return oracle, Results(follower)


def epochs(oracle, trial, attempt, curve, **news):
    oracle.report("w", trial.trial_id, attempt, kind="epoch", curve=curve, **news)


def fail(oracle, message="ValueError: why"):
    trial, _ = begin(oracle)
    trial.status, trial.message = "FAILED", message
    oracle.end_trial(trial)


def test_each_status_has_its_word(job):
    oracle, results = job
    finish(oracle, begin(oracle)[0], 0.5)
    fail(oracle)
    pruned, _ = begin(oracle)
    pruned.status = "STOPPED"
    oracle.end_trial(pruned)
    cut, attempt = begin(oracle, "c")
    oracle.report("c", cut.trial_id, attempt, kind="cut")
    assert begin(oracle, "d")[0].trial_id == cut.trial_id
    begin(oracle, "e")
    lost, _ = begin(oracle, "f")
    oracle.died("f")
    attempt = oracle.facts[cut.trial_id]["attempts"]
    oracle.report("d", cut.trial_id, attempt, kind="cut")
    found = [row["status"] for row in results.rows()]
    words = ["completed", "failed", "pruned", "cut", "running", "waiting"]
    assert found == words


def test_the_best_epoch_is_the_first_of_equal_ones(job):
    oracle, results = job
    trial, attempt = begin(oracle)
    epochs(oracle, trial, attempt, [0.5, 0.25, 0.25, 0.75])
    (row,) = results.rows()
    assert (row["epoch"], row["value"]) == (2, 0.25)


def test_an_epoch_with_nan_is_never_the_best(job):
    oracle, results = job
    trial, attempt = begin(oracle)
    epochs(oracle, trial, attempt, [float("nan"), 0.5])
    (row,) = results.rows()
    assert (row["epoch"], row["value"]) == (2, 0.5)


def test_a_trial_that_failed_has_no_value(job):
    oracle, results = job
    trial, attempt = begin(oracle)
    epochs(oracle, trial, attempt, [0.5])
    trial.status, trial.message = "FAILED", "in the end"
    oracle.end_trial(trial)
    (row,) = results.rows()
    assert row["value"] is None and row["cause"] == "in the end"
    assert results.best is None


def test_the_first_of_several_executions_alone_is_not_compared(job):
    oracle, results = job
    results._tuner.executions_per_trial = 2
    trial, attempt = begin(oracle)
    epochs(oracle, trial, attempt, [0.5], seeds=[0.5])
    assert results.rows()[0]["value"] is None
    assert results.best is None
    finish(oracle, trial, 0.75)
    assert results.best["value"] == 0.75


def test_values_are_in_the_order_of_the_space(job):
    oracle, results = job
    trial, _ = begin(oracle)
    values = trial.hyperparameters.values
    trial.hyperparameters.values = dict(reversed(values.items()))
    trial.hyperparameters.values["tuner/epochs"] = 3
    assert list(results.rows()[0]["values"])[:3] == ["rate", "units", "clipping"]
    assert "tuner/epochs" not in results.rows()[0]["values"]


def test_the_best_is_the_least_or_the_most():
    rows = [
        {"value": value, "status": "completed", "trial": number}
        for number, value in enumerate((0.5, None, 0.25, 0.75))
    ]
    assert best_row(rows, higher=False)["trial"] == 2
    assert best_row(rows, higher=True)["trial"] == 3
    assert best_row(rows[1:2], higher=True) is None
    assert best_row([], higher=True) is None


def test_the_most_frequent_cause_comes_first():
    rows = [{"cause": cause} for cause in ("a", "b", "b")]
    assert causes(rows).split() == ["2", "x", "b", "1", "x", "a"]


def test_the_best_is_written_when_it_changes(job):
    oracle, results = job
    path = results._tuner.folder / "best.json"
    results.write()
    assert not path.exists()
    for value, best in ((0.5, 0.5), (0.75, 0.5), (0.25, 0.25)):
        finish(oracle, begin(oracle)[0], value)
        results.write()
        assert json.loads(path.read_text())["value"] == best


def test_each_change_is_reported_once(job, capsys):
    oracle, results = job
    results.begin()
    trial, _ = begin(oracle)
    results.look()
    results.look()
    finish(oracle, trial, 0.5)
    results.look()
    results.look()
    fail(oracle)
    results.look()
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("trial 0 running: rate ")
    assert lines[1] == "trial 0 completed: val_loss 0.5 (best so far 0.5, trial 0)"
    assert lines[2] == "trial 1 failed: ValueError: why"


def test_a_job_that_resumes_says_so_and_repeats_nothing(job, capsys):
    oracle, results = job
    finish(oracle, begin(oracle)[0], 0.5)
    results.begin()
    results.look()
    assert capsys.readouterr().out == "The job goes on: 1 trials have ended.\n"
    assert results.began_with == 1


def test_a_job_of_failures_ends_with_a_table_of_causes(job):
    oracle, results = job
    for number in range(6):
        fail(oracle, f"ValueError: {number % 2}")
    with pytest.raises(TuningError) as caught:
        results.conclude()
    text = str(caught.value)
    assert "All 6 trials failed" in text and "error.txt" in text
    assert "3 x ValueError: 0" in text and "3 x ValueError: 1" in text


def test_an_error_of_the_search_is_reported(job):
    oracle, results = job
    oracle.error = ValueError("of the search")
    with pytest.raises(TuningError, match="cannot go on: .*of the search") as caught:
        results.conclude()
    assert caught.value.__cause__ is oracle.error


def test_the_end_of_the_budget_says_what_would_resume(job, capsys):
    oracle, results = job
    finish(oracle, begin(oracle)[0], 0.5)
    begin(oracle)
    results.conclude()
    told = capsys.readouterr().out
    assert "1 trials have ended; the budget is used up, 1 would go on" in told


def test_the_time_that_is_left_is_reported(job):
    oracle, results = job
    oracle.budget = oracle.spent + 120
    finish(oracle, begin(oracle)[0], 0.5)
    assert "2.0 minutes left" in results.line(results.rows()[0])


def test_silent_results_print_nothing(job, capsys):
    oracle, results = job
    results.verbose = False
    results.begin()
    finish(oracle, begin(oracle)[0], 0.5)
    results.look()
    results.conclude()
    assert capsys.readouterr().out == ""
