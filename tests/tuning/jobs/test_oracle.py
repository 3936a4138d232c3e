import math
import threading
import time

import keras_tuner
import pytest
import scipy.optimize

from bptt_keras.tuning.jobs import oracle as oracles
from bptt_keras.tuning.jobs import searches
from bptt_keras.tuning.jobs.definition import ChangedError
from tests.tuning.made_up_jobs import begin, finish, grid, opened, score, space, table

KINDS = {
    "random": (searches.RandomSearchOracle, space, {"max_trials": 12}),
    "grid": (searches.GridSearchOracle, grid, {}),
    "bayesian": (
        searches.BayesianOptimizationOracle,
        space,
        {"max_trials": 6, "num_initial_points": 2},
    ),
    "hyperband": (searches.HyperbandOracle, space, {"max_epochs": 4, "factor": 2}),
}


def run(folder, kind, *, reopen, workers=1, **changes):
    """Runs a whole job; `reopen`: by a process that is new after every event."""
    made, hp, options = KINDS[kind]

    def again(oracle=None):
        if oracle is not None and not reopen:
            return oracle
        return opened(folder, made, hp(), **{**options, **changes})

    oracle = again()
    while True:
        oracle = again(oracle)
        trial, attempt = begin(oracle)
        if attempt is None:
            return oracle
        name, values = trial.trial_id, trial.hyperparameters.values
        if reopen:
            # Killed at once, and after an epoch.
            oracle = again(oracle)
            trial, attempt = begin(oracle)
            assert (trial.trial_id, trial.hyperparameters.values) == (name, values)
        oracle.report("w", name, attempt, kind="epoch", curve=[1.0])
        if reopen:
            oracle = again(oracle)
            trial, attempt = begin(oracle)
            assert (trial.trial_id, trial.hyperparameters.values) == (name, values)
        oracle.update_trial(name, {"val_loss": score(values)})
        if reopen:
            oracle = again(oracle)
            trial, attempt = begin(oracle)
        finish(oracle, trial)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.quick(2)
def test_a_job_killed_at_every_event_equals_one_that_was_not_killed(
    tmp_path, monkeypatch, kind
):
    def quick(function, x0, jac=False, **_):
        # The best of random points, in the place of 50 descents.
        value = function(x0)[0] if jac else function(x0)
        return scipy.optimize.OptimizeResult(
            x=x0, fun=value, nit=1, status=0, success=True, message=""
        )

    monkeypatch.setattr("scipy.optimize.minimize", quick)
    whole = run(tmp_path / "a", kind, reopen=False)
    cut = run(tmp_path / "b", kind, reopen=True)
    assert whole.error is None and cut.error is None
    assert len(whole.trials) >= 6
    assert table(cut) == table(whole)
    assert all(t.status == oracles.COMPLETED for t in cut.trials.values())


def test_values_depend_only_on_the_seed(tmp_path):
    one = table(run(tmp_path / "a", "random", reopen=False))
    same = table(run(tmp_path / "b", "random", reopen=False))
    other = table(run(tmp_path / "c", "random", reopen=False, seed=2))
    assert one == same
    assert one != other


def test_the_results_of_others_do_not_change_what_random_search_proposes(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=12)
    begun = [begin(oracle, f"w{number}")[0] for number in range(12)]
    values = [trial.hyperparameters.values for trial in begun]
    whole = run(tmp_path / "b", "random", reopen=False)
    assert values == [t.hyperparameters.values for t in whole.trials.values()]


def test_inactive_hyperparameters_have_no_value(tmp_path):
    oracle = run(tmp_path / "a", "random", reopen=False)
    kinds = set()
    for trial in oracle.trials.values():
        values = trial.hyperparameters.values
        kinds.add(values["clipping"])
        assert ("clip_norm" in values) == (values["clipping"] == "norm")
    assert kinds == {"none", "norm"}


def test_a_changed_space_is_refused_and_an_extended_one_resumes(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=2)
    finish(oracle, begin(oracle)[0])
    wider = space()
    wider.Int("layers", 1, 2)
    with pytest.raises(ChangedError, match="layers"):
        opened(tmp_path / "a", hp=wider, max_trials=2)
    oracle = opened(tmp_path / "a", hp=wider, max_trials=2, extend=True)
    assert "layers" in begin(oracle)[0].hyperparameters.values
    assert "layers" not in oracle.trials["0"].hyperparameters.values


def test_what_a_trial_adds_to_the_space_is_there_after_a_kill(tmp_path):
    def first(folder):
        oracle = opened(folder, max_trials=4)
        trial, _ = begin(oracle)
        # As a model does that asks for more than it was known to.
        trial.hyperparameters.Int("found", 1, 1000)
        finish(oracle, trial)
        return oracle

    whole = first(tmp_path / "a")
    first(tmp_path / "b")
    cut = opened(tmp_path / "b", max_trials=4)
    expected = begin(whole)[0].hyperparameters.values
    assert "found" in expected
    assert begin(cut)[0].hyperparameters.values == expected


# --- Workers that die ----------------------------------------------------------------


def test_a_worker_that_comes_back_gets_its_trial_again(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=3)
    first, attempt = begin(oracle, "a")
    begin(oracle, "b")
    again, second = begin(oracle, "a")
    assert again.trial_id == first.trial_id
    assert again.hyperparameters.values == first.hyperparameters.values
    assert (attempt, second) == (1, 2)
    assert oracle.facts[first.trial_id]["deaths"] == 1


def test_the_trial_of_a_killed_process_is_the_first_to_be_assigned(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=5)
    names = [begin(oracle, worker)[0].trial_id for worker in "abc"]
    oracle = opened(tmp_path / "a", max_trials=5)
    assert not oracle.working
    assert [begin(oracle, worker)[0].trial_id for worker in "xyz"] == names


def test_asking_twice_before_the_trial_began_does_not_count_as_a_death(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=2)
    for _ in range(2 * oracles.DEATHS):
        trial = oracle.create_trial("a")
    assert trial.status == oracles.RUNNING
    assert oracle.facts[trial.trial_id]["deaths"] == 0


def test_a_trial_whose_process_dies_again_and_again_fails(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=2)
    name = begin(oracle, "a")[0].trial_id
    for _ in range(oracles.DEATHS - 1):
        assert begin(oracle, "a")[0].trial_id == name
    assert begin(oracle, "a")[0].trial_id != name
    assert oracle.trials[name].status == oracles.FAILED
    assert f"died {oracles.DEATHS} times" in oracle.facts[name]["cause"]


def test_deaths_count_across_workers(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=1)
    for number in range(oracles.DEATHS):
        trial, _ = begin(oracle, f"w{number}")
        assert trial.status == oracles.RUNNING
        oracle.died(f"w{number}")
    assert begin(oracle, "last")[0].status == oracles.STOPPED
    assert oracle.trials["0"].status == oracles.FAILED


def test_a_new_epoch_clears_earlier_deaths(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=1)
    for epoch in range(3 * oracles.DEATHS):
        trial, attempt = begin(oracle, "a")
        assert trial.status == oracles.RUNNING
        if epoch % 3 == 2:
            curve = [0.5] * epoch
            oracle.report("a", trial.trial_id, attempt, kind="epoch", curve=curve)
    assert oracle.facts[trial.trial_id]["deaths"] < oracles.DEATHS


def test_a_repeated_epoch_does_not_clear_deaths(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=1)
    for _ in range(oracles.DEATHS):
        trial, attempt = begin(oracle, "a")
        oracle.report("a", trial.trial_id, attempt, kind="epoch", curve=[0.5])
        oracle.died("a")
        curve = oracle.facts[trial.trial_id]["curve"]
    assert curve == [0.5]
    assert oracle.facts[trial.trial_id]["deaths"] == oracles.DEATHS


def test_a_worker_that_died_without_a_trial_changes_nothing(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=1)
    before = table(oracle)
    oracle.died("nobody")
    assert table(oracle) == before


def test_silent_workers_lose_their_trials(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=3)
    lost, attempt = begin(oracle, "silent")
    kept, _ = begin(oracle, "loud")
    time.sleep(0.05)
    oracle.report("loud", kept.trial_id, 1)
    assert oracle.release_silent(0.04) == ["silent"]
    assert begin(oracle, "other")[0].trial_id == lost.trial_id
    answer = oracle.report("silent", lost.trial_id, attempt)
    assert answer["stop"] == "lost"
    assert oracle.report("loud", kept.trial_id, 1)["stop"] is None


def test_a_stale_attempt_is_told_that_it_lost_its_trial(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=1)
    trial, old = begin(oracle, "a")
    _, new = begin(oracle, "a")
    answer = oracle.report("a", trial.trial_id, old, kind="epoch", curve=[9.0])
    assert answer["stop"] == "lost"
    assert oracle.facts[trial.trial_id]["curve"] == []
    assert oracle.report("a", trial.trial_id, new)["stop"] is None


def test_a_chief_that_is_started_again_gives_its_workers_time(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=2)
    trial, attempt = begin(oracle, "a")
    oracle = opened(tmp_path / "a", max_trials=2, local=False)
    assert oracle.release_silent() == []
    assert oracle.report("a", trial.trial_id, attempt)["stop"] is None
    finish(oracle, trial)
    assert oracle.trials["0"].status == oracles.COMPLETED


# --- Results -------------------------------------------------------------------------


def test_a_result_that_arrives_twice_counts_once(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=2)
    trial, _ = begin(oracle)
    finish(oracle, trial, 0.5)
    finish(oracle, trial, 0.7)
    assert oracle.trials["0"].score == 0.5
    assert oracle.end_order == ["0"]


def test_only_the_last_of_several_metrics_before_the_end_counts(tmp_path):
    # Each attempt may send them: no mean of them is taken.
    oracle = opened(tmp_path / "a", max_trials=2)
    trial, _ = begin(oracle)
    value = 0.1
    for sent in (7.0, value, value, value):
        oracle.update_trial(trial.trial_id, {"val_loss": sent})
    trial.status = oracles.COMPLETED
    oracle.end_trial(trial)
    assert oracle.trials["0"].score == value


def test_metrics_are_on_disk_before_the_trial_ends(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=1)
    trial, _ = begin(oracle, "a")
    oracle.update_trial(trial.trial_id, {"val_loss": 0.25})
    oracle = opened(tmp_path / "a", max_trials=1, local=False)
    trial.status = oracles.COMPLETED
    oracle.end_trial(trial)
    assert oracle.trials["0"].score == 0.25


def test_a_trial_that_ends_without_a_result_is_assigned_again(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=1)
    trial, _ = begin(oracle, "a")
    trial.status = oracles.COMPLETED
    oracle.end_trial(trial)
    assert not oracle.finished
    again, _ = begin(oracle, "b")
    assert again.trial_id == trial.trial_id
    finish(oracle, again)
    assert oracle.finished


def test_a_nan_objective_fails_only_that_trial(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=4)
    for value in (math.nan, math.nan, math.nan, 0.5):
        finish(oracle, begin(oracle)[0], value)
    assert [t.status for t in oracle.trials.values()] == ["FAILED"] * 3 + ["COMPLETED"]
    assert oracle.facts["0"]["cause"] == "the objective is not a number"
    assert oracle.finished


@pytest.mark.parametrize("status", ["INVALID", "FAILED"])
def test_a_job_of_failures_runs_to_its_end(tmp_path, status):
    oracle = opened(tmp_path / "a", max_trials=24)
    while True:
        trial, attempt = begin(oracle)
        if attempt is None:
            break
        trial.status, trial.message = status, "first line\nValueError: why"
        oracle.end_trial(trial)
    assert trial.status == oracles.STOPPED
    assert len(oracle.trials) == 24
    assert all(t.status == oracles.FAILED for t in oracle.trials.values())
    assert {f["cause"] for f in oracle.facts.values()} == {"ValueError: why"}
    assert oracle.finished and oracle.error is None


def test_a_trial_is_repeated_as_often_as_asked(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=1, max_retries_per_trial=2)
    attempts = []
    while True:
        trial, attempt = begin(oracle)
        if attempt is None:
            break
        attempts.append(attempt)
        trial.status = "INVALID"
        oracle.end_trial(trial)
    assert attempts == [1, 2, 3]
    assert oracle.trials["0"].status == oracles.FAILED


def test_a_pruned_trial_has_ended(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=1)
    trial, _ = begin(oracle)
    trial.status = oracles.STOPPED
    oracle.end_trial(trial)
    assert oracle.finished
    assert oracle.trials["0"].status == oracles.STOPPED


# --- Limits --------------------------------------------------------------------------


def test_a_spent_budget_stops_new_trials_and_the_running_one(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=3, budget=1000.0)
    trial, attempt = begin(oracle, "a")
    answer = oracle.report("a", trial.trial_id, attempt)
    assert answer["stop"] is None and 990 < answer["left"] <= 1000
    oracle.budget = oracle.spent
    assert oracle.create_trial("b").status == oracles.STOPPED
    assert oracle.report("a", trial.trial_id, attempt)["stop"] == "budget"
    oracle.report("a", trial.trial_id, attempt, kind="cut")
    assert not oracle.working and not oracle.finished
    assert oracle.facts["0"]["cut"]
    # A larger one goes on with the trial that was cut.
    oracle = opened(tmp_path / "a", max_trials=3, budget=1000.0)
    again, _ = begin(oracle, "a")
    assert again.trial_id == trial.trial_id
    assert not oracle.facts["0"]["cut"] and oracle.facts["0"]["deaths"] == 0


def test_time_is_counted_across_kills(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=3)
    time.sleep(0.1)
    oracle.save()
    first = oracle.spent
    oracle = opened(tmp_path / "a", max_trials=3)
    assert oracle.spent >= 0.1
    assert oracle.spent < first + 5


def test_without_a_budget_no_remaining_time_is_reported(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=3)
    assert oracle.report("a", None)["left"] is None


def test_more_trials_can_be_asked_for_later(tmp_path):
    for count in (2, 12):
        oracle = opened(tmp_path / "a", max_trials=count)
        while (trial := begin(oracle)[0]).status == oracles.RUNNING:
            finish(oracle, trial)
        assert oracle.finished
    whole = run(tmp_path / "b", "random", reopen=False)
    assert [row[1:] for row in table(oracle)] == [row[1:] for row in table(whole)]


def test_the_first_trial_has_the_defaults_if_asked(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=2, defaults_first=True)
    values = begin(oracle, "a")[0].hyperparameters.values
    assert values == {"rate": 1e-4, "units": 4, "clipping": "none"}
    assert begin(oracle, "b")[0].hyperparameters.values != values


def test_an_error_in_every_trial_ends_the_job(tmp_path):
    oracle = opened(tmp_path / "a", max_trials=3)
    trial, attempt = begin(oracle, "a")
    news = {"cause": "ValueError: no such objective"}
    oracle.report("a", trial.trial_id, attempt, kind="fatal", **news)
    assert "no such objective" in str(oracle.error)
    assert oracle.create_trial("b").status == oracles.STOPPED
    # Once that is mended, the trial is run.
    oracle = opened(tmp_path / "a", max_trials=3)
    assert oracle.error is None
    assert begin(oracle, "a")[0].trial_id == trial.trial_id


@pytest.mark.parametrize("kind", ["random", "grid"])
def test_an_error_of_the_search_ends_the_job_and_is_kept(tmp_path, monkeypatch, kind):
    made, hp, options = KINDS[kind]
    oracle = opened(tmp_path / "a", made, hp(), **options)

    def fail(*_):
        raise ZeroDivisionError("of the search")

    monkeypatch.setattr(oracle, "_duplicate", fail)
    assert oracle.create_trial("a").status == oracles.STOPPED
    assert isinstance(oracle.error, ZeroDivisionError)


@pytest.mark.parametrize("call", ["update", "metrics", "end", "report", "create"])
def test_an_error_in_one_thread_does_not_lock_out_the_others(
    tmp_path, monkeypatch, call
):
    oracle = opened(tmp_path / "a", max_trials=3)
    trial, _ = begin(oracle, "a")
    calls = {
        "update": lambda: oracle.update_trial("no such", {"val_loss": 1.0}),
        "metrics": lambda: oracle.update_trial(trial.trial_id, {"loss": 1.0}),
        "end": lambda: finish(oracle, trial),
        "report": lambda: oracle.report("a", "no such"),
        "create": lambda: oracle.create_trial("c"),
    }
    raised = []

    def fail():
        try:
            calls[call]()
        except (KeyError, ValueError) as error:
            raised.append(error)

    def break_down(*_):
        raise ValueError("no space left on device")

    if call in ("end", "create"):
        # In the middle of KerasTuner's work.
        monkeypatch.setattr(oracle, "_record_values", break_down)
    thread = threading.Thread(target=fail, name="failing")
    thread.start()
    thread.join(5)
    assert raised
    monkeypatch.undo()
    got = []
    other = threading.Thread(
        target=lambda: got.append(oracle.create_trial("b")), daemon=True
    )
    other.start()
    other.join(2)
    assert got and got[0].status == oracles.RUNNING


# --- The grid ------------------------------------------------------------------------


def points(oracle):
    return [tuple(t.hyperparameters.values.items()) for t in oracle.trials.values()]


def test_a_grid_gives_work_to_all_workers_simultaneously(tmp_path):
    oracle = opened(tmp_path / "a", searches.GridSearchOracle, grid())
    begun = [begin(oracle, f"w{number}")[0] for number in range(10)]
    assert all(trial.status == oracles.RUNNING for trial in begun)
    assert begin(oracle, "w10")[0].status == oracles.STOPPED


def test_a_grid_visits_each_point_once(tmp_path):
    oracle = run(tmp_path / "a", "grid", reopen=False)
    found = [dict(point) for point in points(oracle)]
    expected = []
    for units in (8, 16):
        expected.append({"units": units, "clipping": "none"})
        for kind, values in (("norm", [0.5, 1.0]), ("value", [0.1, 0.2])):
            for value in values:
                point = {"units": units, "clipping": kind, f"clip_{kind}": value}
                expected.append(point)
    assert len(found) == len(expected) == 10
    assert all(point in found for point in expected)


def test_the_order_of_results_does_not_change_a_grid(tmp_path):
    oracle = opened(tmp_path / "a", searches.GridSearchOracle, grid())
    one, two = begin(oracle, "a")[0], begin(oracle, "b")[0]
    finish(oracle, two)
    three = begin(oracle, "b")[0]
    finish(oracle, three)
    finish(oracle, one)
    while (trial := begin(oracle)[0]).status == oracles.RUNNING:
        finish(oracle, trial)
    assert points(oracle) == points(run(tmp_path / "b", "grid", reopen=False))


def test_an_extended_grid_tries_the_new_points(tmp_path):
    run(tmp_path / "a", "grid", reopen=False)
    wider = keras_tuner.HyperParameters()
    wider.Choice("units", [8, 16, 32])
    for entry in grid().space[1:]:
        wider.merge([entry])
    oracle = opened(tmp_path / "a", searches.GridSearchOracle, wider, extend=True)
    while (trial := begin(oracle)[0]).status == oracles.RUNNING:
        finish(oracle, trial)
    assert len(oracle.trials) == len(set(points(oracle))) == 15


def test_a_grid_continues_when_a_trial_adds_to_the_space(tmp_path):
    hp = keras_tuner.HyperParameters()
    hp.Choice("units", [8, 16])
    oracle = opened(tmp_path / "a", searches.GridSearchOracle, hp)
    while (trial := begin(oracle)[0]).status == oracles.RUNNING:
        trial.hyperparameters.Choice("found", [1, 2])
        finish(oracle, trial)
    assert oracle.error is None
    assert len(oracle.trials) == len(set(points(oracle))) == 4
