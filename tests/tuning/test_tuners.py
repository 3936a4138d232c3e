import json
import time

import keras
import keras_tuner
import numpy as np
import pytest

import bptt_keras.tuning as tuning
from bptt_keras.tuning import trials
from tests.tuning.trained import (
    VALIDATION,
    Kill,
    Killer,
    Quick,
    X,
    Y,
    build,
    quick,
    rows,
    search,
    tuner,
)


def wide(hp):
    """The model of `quick`, and a number that it does not use."""
    hp.Int("units", 4, 16)
    return quick(hp)


def grid(values, do):
    """A model function over a grid that does something with each value."""

    def made(hp):
        do(hp.Choice("number", values))
        model = Quick()
        model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "mse")
        return model

    return made


# --- Arguments -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("executions_per_trial", 0),
        ("executions_per_trial", True),
        ("seed", -1),
        ("seed", 0.5),
        ("workers", 0),
        ("budget", 0),
        ("patience", -1),
    ],
)
def test_a_wrong_argument_is_named_immediately(tmp_path, name, value):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        tuner(tmp_path / "job", **{name: value})


def test_the_seed_0_is_a_seed(tmp_path):
    tables = []
    for folder in "ab":
        made = search(tuner(tmp_path / folder, seed=0), epochs=1)
        tables.append(rows(made))
    assert tables[0] == tables[1]
    other = search(tuner(tmp_path / "c", seed=1), epochs=1)
    assert rows(other) != tables[0]


def test_the_same_tuner_searches_again_and_finds_all_done(tmp_path):
    made = search(tuner(tmp_path / "job"))
    before = rows(made)
    search(made)
    assert rows(made) == before


def test_more_trials_are_added_to_a_job_that_had_ended(tmp_path):
    first = rows(search(tuner(tmp_path / "job", max_trials=2), epochs=1))
    more = search(tuner(tmp_path / "job", max_trials=12), epochs=1)
    assert len(rows(more)) == 12
    assert rows(more)[:2] == first
    # The names grow longer; the order stays that of their beginning.
    assert [int(row["trial"]) for row in rows(more)] == list(range(12))


def test_overwrite_starts_over(tmp_path):
    search(tuner(tmp_path / "job"), epochs=1)
    made = tuner(tmp_path / "job", overwrite=True)
    assert not (tmp_path / "job" / "job.json").exists()
    search(made, epochs=2)
    assert [len(row["curve"]) for row in rows(made)] == [2, 2]


def test_two_processes_cannot_run_one_job(tmp_path):
    class Second(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            with pytest.raises(tuning.TuningError, match="Another process"):
                search(tuner(tmp_path / "job"))
            seen.append(epoch)

    seen = []
    search(tuner(tmp_path / "job", max_trials=1), epochs=1, callbacks=[Second()])


# --- What is refused before any trial ------------------------------------------------


def no_trials(folder):
    return not list(folder.glob("trial_*"))


def test_a_validation_objective_needs_validation_data(tmp_path):
    made = tuner(tmp_path / "job")
    with pytest.raises(ValueError, match="val_loss.*no validation data"):
        search(made, validation_data=None)
    assert no_trials(tmp_path / "job")


def test_a_validation_split_is_enough_to_validate(tmp_path):
    made = tuner(tmp_path / "job", max_trials=1)
    search(made, validation_data=None, validation_split=0.5)
    assert made.results.best is not None


def test_validation_data_by_position_are_seen(tmp_path):
    made = tuner(tmp_path / "job", max_trials=1)
    made.search(X, Y, 8, 2, 0, None, 0.0, VALIDATION)
    assert [len(row["curve"]) for row in rows(made)] == [2]


def test_more_positional_arguments_are_those_of_fit(tmp_path):
    made = tuner(tmp_path / "a", max_trials=1)
    made.search(X, Y, 8, 3, validation_data=VALIDATION, verbose=0)
    by_name = search(tuner(tmp_path / "b", max_trials=1), epochs=3)
    assert rows(made) == rows(by_name)


def test_an_argument_by_position_and_by_name_is_refused(tmp_path):
    made = tuner(tmp_path / "job")
    with pytest.raises(TypeError, match="batch_size"):
        made.search(X, Y, 8, batch_size=8, validation_data=VALIDATION, verbose=0)
    assert no_trials(tmp_path / "job")


def test_callbacks_may_be_none(tmp_path):
    made = search(tuner(tmp_path / "job", max_trials=1), callbacks=None)
    assert rows(made)[0]["status"] == "completed"


def changed(folder, model=quick, options=None, **arguments):
    with pytest.raises(tuning.ChangedError) as caught:
        search(tuner(folder, model=model, **(options or {})), **arguments)
    return str(caught.value)


def test_the_definition_of_a_job_cannot_change(tmp_path):
    folder = tmp_path / "job"
    search(tuner(folder, max_trials=1))
    assert "units was not there, is 4 to 16" in changed(folder, wide)
    assert "fit.epochs was 3, is 4" in changed(folder, epochs=4)
    assert "validation_data" in changed(folder, validation_data=(X, Y))
    assert "objective was val_loss, is loss" in changed(
        folder, options={"objective": "loss"}
    )
    assert "seed was 0, is 3" in changed(folder, options={"seed": 3})
    assert "executions_per_trial was 1, is 2" in changed(
        folder, options={"executions_per_trial": 2}
    )
    made = tuner(folder, max_trials=1)
    with pytest.raises(tuning.ChangedError, match="data was"):
        made.search(X + 1, Y, epochs=3, batch_size=8, validation_data=VALIDATION)
    # And the refusals have changed nothing.
    assert len(rows(search(tuner(folder, max_trials=1)))) == 1


def test_a_changed_range_is_refused_with_both(tmp_path):
    def narrow(hp):
        hp.Int("units", 4, 8)
        return quick(hp)

    search(tuner(tmp_path / "job", model=wide, max_trials=1), epochs=1)
    assert "units was 4 to 16, is 4 to 8" in changed(
        tmp_path / "job", narrow, {"max_trials": 1}, epochs=1
    )


def test_a_space_is_extended_on_purpose(tmp_path):
    search(tuner(tmp_path / "job", max_trials=1), epochs=1)
    made = tuner(tmp_path / "job", model=wide, max_trials=2, extend=True)
    search(made, epochs=1)
    assert "units" not in rows(made)[0]["values"]
    assert "units" in rows(made)[1]["values"]


def test_a_damaged_state_is_reported_and_the_previous_copy_used(tmp_path, capsys):
    before = rows(search(tuner(tmp_path / "job")))
    state = tmp_path / "job" / "job.json"
    state.write_bytes(state.read_bytes()[:-100])
    made = search(tuner(tmp_path / "job"))
    assert "job.json is damaged" in capsys.readouterr().err
    assert rows(made) == before


# --- Objectives ----------------------------------------------------------------------


def test_an_objective_that_no_log_has_ends_the_job_immediately(tmp_path):
    made = tuner(tmp_path / "job", objective="val_accuracy")
    with pytest.raises(ValueError, match="val_accuracy is not in the logs.*val_loss"):
        search(made)
    # One epoch of one trial was enough to know.
    assert len(made.own_oracle.trials) == 1
    assert not (tmp_path / "job" / "trial_0" / "execution0" / "checkpoint").exists()


def test_an_objective_that_a_model_does_not_measure_is_refused_before_any_trial(
    tmp_path,
):
    made = tuner(tmp_path / "job", model=build, objective="val_accuracy")
    with pytest.raises(ValueError, match="val_accuracy.*loss"):
        search(made)
    assert no_trials(tmp_path / "job")


@pytest.mark.parametrize(
    ("metrics", "objective"),
    [
        (["mae"], "val_mae"),
        ([keras.metrics.MeanAbsoluteError(name="off")], "val_off"),
        ([keras.losses.mean_squared_error], "val_mean_squared_error"),
        (["mae"], "loss"),
    ],
)
@pytest.mark.quick(2)
def test_an_objective_that_a_model_measures_is_accepted(tmp_path, metrics, objective):
    def measured(hp):
        return build(hp, metrics=metrics)

    made = tuner(
        tmp_path / "job",
        model=measured,
        objective=keras_tuner.Objective(objective, "min"),
        max_trials=1,
    )
    search(made, epochs=1)
    assert rows(made)[0]["status"] == "completed"


def test_what_a_callback_logs_can_be_the_objective(tmp_path):
    class Adds(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["mine"] = 7.0 - epoch

    objective = keras_tuner.Objective("mine", "min")
    made = tuner(tmp_path / "job", objective=objective, max_trials=1)
    search(made, callbacks=[Adds()])
    assert rows(made)[0]["value"] == 5.0


def test_several_objectives_are_combined(tmp_path):
    made = tuner(tmp_path / "job", objective=["loss", "val_loss"], max_trials=1)
    search(made, epochs=1)
    (row,) = rows(made)
    history = json.loads(
        (
            tmp_path / "job" / "trial_0" / "execution0" / "checkpoint" / "state.json"
        ).read_text()
    )["history"]
    assert row["status"] == "completed"
    assert row["value"] == history[0]["loss"] + history[0]["val_loss"]


class Returns(keras_tuner.HyperModel):
    """A model whose `fit` returns the objective."""

    def build(self, hp):
        return quick(hp)

    def fit(self, hp, model, *args, **kwargs):
        model.fit(*args, **kwargs)
        return {"score": hp.get("rate")}


def test_what_fit_returns_can_be_the_objective(tmp_path):
    objective = keras_tuner.Objective("score", "max")
    made = tuner(tmp_path / "job", model=Returns(), objective=objective)
    search(made, epochs=1)
    for row in rows(made):
        assert row["value"] == row["values"]["rate"]
    assert made.get_best_models()[0].get_weights()


# --- Trials that fail ----------------------------------------------------------------


def test_a_job_whose_trials_all_fail_says_why(tmp_path):
    fine = [True]

    def fail(number):
        # The space is found before.
        if not fine:
            raise ZeroDivisionError("division by zero")

    made = tuner(tmp_path / "job", tuning.GridSearch, grid([*range(7)], fail))
    fine.clear()
    with pytest.raises(tuning.TuningError) as caught:
        search(made)
    assert "All 7 trials failed" in str(caught.value)
    assert "7 x ZeroDivisionError: division by zero" in str(caught.value)
    for folder in (tmp_path / "job").glob("trial_*"):
        assert "ZeroDivisionError" in (folder / "error.txt").read_text()
    assert len(list((tmp_path / "job").glob("trial_*"))) == 7


def test_a_job_half_of_whose_trials_fail_ends_normally(tmp_path, capsys):
    searching = []

    def fail(number):
        if searching and number % 2:
            raise ValueError("odd")

    made = tuner(tmp_path / "job", tuning.GridSearch, grid([0, 1, 2, 3], fail))
    searching.append(True)
    search(made, epochs=1, verbose=1)
    assert [row["status"] for row in rows(made)] == ["completed", "failed"] * 2
    assert {row["cause"] for row in rows(made)} == {"", "ValueError: odd"}
    told = capsys.readouterr().out
    assert "4 trials have ended, 2 of them failed" in told
    # And models are had of those that did not fail alone.
    searching.clear()
    assert len(made.get_best_models(4)) == 2


def test_a_callback_that_cannot_be_copied_ends_the_job_with_its_name(tmp_path):
    class Stuck(keras.callbacks.Callback):
        def __deepcopy__(self, memo):
            raise TypeError("cannot")

    made = tuner(tmp_path / "job")
    with pytest.raises(ValueError, match="deepcopy"):
        search(made, callbacks=[Stuck()])
    assert len(rows(made)) == 1
    # Without it the same trial is run.
    assert [row["status"] for row in rows(search(tuner(tmp_path / "job")))] == [
        "completed"
    ] * 2


def test_a_worker_that_lost_its_trial_does_not_end_it(tmp_path):
    made = tuner(tmp_path / "job", max_trials=1)
    own = made.own_oracle

    measured = made._metrics

    def stolen(*args):
        found = measured(*args)
        # As if silent for too long, after the last epoch.
        own.died("tuner0")
        own.create_trial("other")
        return found

    made._metrics = stolen
    ended = []
    real = own.end_trial
    own.end_trial = lambda trial: ended.append(trial.trial_id) or real(trial)
    # Nothing is left for it: it asks, is told to stop, and the other has the trial.
    search(made)
    assert ended == []
    assert own.ongoing_trials["other"].trial_id == "0"


def test_the_absence_of_the_chief_fails_no_trial(tmp_path, monkeypatch):
    made = tuner(tmp_path / "job", max_trials=1)

    def gone(*_, **__):
        raise tuning.ChiefGoneError("gone")

    monkeypatch.setattr(trials.Checkpoint, "on_train_begin", gone)
    with pytest.raises(tuning.ChiefGoneError):
        search(made)
    assert rows(made)[0]["status"] != "failed"
    assert not (tmp_path / "job" / "trial_0" / "error.txt").exists()


# --- Time ----------------------------------------------------------------------------


class Slow(keras.callbacks.Callback):
    """Takes its time in each batch after the first epoch."""

    def on_train_batch_begin(self, batch, logs=None):
        if len(self.model.optimizer.variables) and self.model.optimizer.iterations > 0:
            time.sleep(0.4)


def test_a_budget_ends_within_a_batch_and_a_larger_one_resumes(tmp_path, capsys):
    whole = rows(search(tuner(tmp_path / "a")))
    # A machine that does other work takes longer to begin.
    for seconds in (0.4, 0.8, 1.6):
        folder, began = tmp_path / str(seconds), time.monotonic()
        made = tuner(folder, budget=seconds / 60)
        search(made, callbacks=[Slow()], verbose=1)
        assert time.monotonic() - began < seconds + 3
        assert rows(made)[0]["status"] == "cut"
        if rows(made)[0]["curve"]:
            break
    assert 0 < len(rows(made)[0]["curve"]) < 3
    assert "the budget is used up, 1 would go on with a larger one" in (
        capsys.readouterr().out
    )
    assert made.results.best["value"] == min(rows(made)[0]["curve"])
    more = search(tuner(folder, budget=10))
    assert rows(more) == whole


def test_a_spent_budget_begins_nothing(tmp_path):
    search(tuner(tmp_path / "job", budget=0.3 / 60), callbacks=[Slow()])
    made = tuner(tmp_path / "job", budget=0.3 / 60)
    before = rows(search(made))
    assert rows(made) == before and len(before) == 1


# --- Executions and Hyperband --------------------------------------------------------


def test_executions_are_averaged(tmp_path):
    made = search(tuner(tmp_path / "job", executions_per_trial=2))
    for row in rows(made):
        assert len(set(row["seeds"])) == 2
        assert row["value"] == pytest.approx(np.mean(row["seeds"]), rel=1e-15)
        assert min(row["curve"]) == row["seeds"][0]
    single = search(tuner(tmp_path / "one"))
    assert [row["seeds"][0] for row in rows(made)] == [
        row["value"] for row in rows(single)
    ]


@pytest.mark.parametrize("epochs", [2, 4])
@pytest.mark.quick(1)
def test_executions_survive_a_kill(tmp_path, epochs):
    whole = search(tuner(tmp_path / "a", executions_per_trial=2, max_trials=1))
    cut = tuner(tmp_path / "b", executions_per_trial=2, max_trials=1)
    with pytest.raises(Kill):
        search(cut, callbacks=[Killer(epochs)])
    cut = search(tuner(tmp_path / "b", executions_per_trial=2, max_trials=1))
    assert rows(cut) == rows(whole)


def test_the_weights_are_those_of_the_best_execution(tmp_path):
    made = tuner(tmp_path / "job", max_trials=4, executions_per_trial=2)
    search(made, epochs=1)
    for row in rows(made):
        model = made.load_model(made.own_oracle.trials[row["trial"]])
        # The loss of `Quick` is a function of its weights.
        reached = float(abs(model.dense.kernel.numpy()).sum())
        folder = tmp_path / "job" / f"trial_{row['trial']}"
        losses = [
            json.loads((folder / f"execution{n}" / "result.json").read_text())
            for n in range(2)
        ]
        best = min(losses, key=lambda found: found["metrics"]["val_loss"])
        assert reached == pytest.approx(best["metrics"]["loss"], rel=1e-6)


def hyperband(folder, **options):
    options = {"max_epochs": 2, "factor": 2, **options}
    return tuner(folder, tuning.Hyperband, **options)


def test_a_round_of_hyperband_begins_where_the_previous_one_ended(tmp_path):
    trained = []

    class Count(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            trained.append(epoch)

    made = search(hyperband(tmp_path / "job"), callbacks=[Count()])
    by_name = {row["trial"]: row for row in rows(made)}
    later = 0
    for name, trial in made.own_oracle.trials.items():
        values = trial.hyperparameters.values
        curve = by_name[name]["curve"]
        assert len(curve) == values["tuner/epochs"]
        earlier = values.get("tuner/trial_id")
        if earlier:
            later += 1
            assert curve[: values["tuner/initial_epoch"]] == by_name[earlier]["curve"]
    assert later > 0
    # No epoch was trained twice.
    new = sum(
        t.hyperparameters.values["tuner/epochs"]
        - t.hyperparameters.values["tuner/initial_epoch"]
        for t in made.own_oracle.trials.values()
    )
    assert len(trained) == new
    # The weights of all are there, also where the later round was no better.
    assert len(made.get_best_models(len(by_name))) == len(by_name)


def test_hyperband_survives_kills(tmp_path):
    whole = search(hyperband(tmp_path / "a"))
    made = None
    for _ in range(20):
        try:
            made = search(hyperband(tmp_path / "b"), callbacks=[Killer(5)])
            break
        except Kill:
            continue
    assert made is not None
    assert rows(made) == rows(whole)


# --- Models --------------------------------------------------------------------------


@pytest.mark.parametrize("inputs", [True, False])
@pytest.mark.quick(1)
def test_the_best_model_reaches_the_stored_value(tmp_path, inputs):
    def model(hp):
        return build(hp, inputs=inputs)

    search(tuner(tmp_path / "job", model=model, max_trials=1), epochs=2)
    # By a new process, which has not searched.
    made = tuner(tmp_path / "job", model=model, max_trials=1)
    (best,) = made.get_best_models()
    value = best.evaluate(*VALIDATION, verbose=0)
    stored = json.loads((tmp_path / "job" / "best.json").read_text())["value"]
    assert value == pytest.approx(stored, rel=1e-6)
    assert made.get_best_hyperparameters()[0].values == made.results.best["values"]


def test_the_best_value_is_on_disk_with_its_trial(tmp_path):
    made = search(tuner(tmp_path / "job"))
    stored = json.loads((tmp_path / "job" / "best.json").read_text())
    best = min(rows(made), key=lambda row: row["value"])
    assert stored["trial"] == best["trial"] and stored["value"] == best["value"]
    assert stored["values"] == best["values"]
    assert stored["objective"] == "val_loss"


def test_a_silent_search_prints_nothing(tmp_path, capsys):
    search(tuner(tmp_path / "job"))
    told = capsys.readouterr()
    assert told.out == "" and told.err == ""


def test_a_search_reports_each_trial(tmp_path, capsys):
    search(tuner(tmp_path / "job"), epochs=1, verbose=1)
    told = capsys.readouterr().out
    assert "trial 0 running: rate" in told
    assert "trial 1 completed: val_loss" in told
    assert "best so far" in told
