import json
import random

import keras
import keras_tuner
import numpy as np
import pytest

from bptt_keras.tuning.jobs.execution import (
    Checkpoint,
    Execution,
    keep_weights,
    restore_model,
)
from bptt_keras.tuning.jobs.objective import refuse_unlogged
from tests.tuning.trained import (
    VALIDATION,
    Kill,
    Killer,
    X,
    Y,
    assert_same,
    build,
    quick,
    rows,
    search,
    tuner,
)

OBJECTIVE = keras_tuner.Objective("val_loss", "min")


class Silent:
    """A progress that nobody listens to."""

    def __init__(self):
        self.curve, self.seconds = [], 0.0

    def tell(self, curve):
        self.curve = list(curve)

    epoch = tell

    def goes_on_after(self, seconds):
        self.seconds = seconds


def execution(folder, **options):
    return Execution(folder, OBJECTIVE, Silent(), 0, **{"reports": True, **options})


def fit(folder, epochs, callbacks=(), *, progress=None):
    """Trains a model from the checkpoint in a folder up to so many epochs."""
    keras.utils.set_random_seed(3)
    model = quick(keras_tuner.HyperParameters())
    made = execution(folder / "execution0")
    checkpoint = Checkpoint(made, folder / "best.weights.h5", list(callbacks))
    done = checkpoint.restore(model)
    if done < epochs and not checkpoint.stopped:
        model.fit(
            X,
            Y,
            epochs=epochs,
            initial_epoch=done,
            validation_data=VALIDATION,
            verbose=0,
            callbacks=[*callbacks, checkpoint],
        )
    return model, checkpoint


# --- Kills ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A job that nobody kills."""
    return search(tuner(tmp_path_factory.mktemp("whole") / "job"))


@pytest.mark.parametrize("written", [True, False])
@pytest.mark.parametrize("epochs", [1, 2, 4])
@pytest.mark.quick(2)
def test_a_killed_job_ends_like_one_without_kills(tmp_path, whole, epochs, written):
    killer = Killer(epochs, written=written)
    with pytest.raises(Kill):
        search(tuner(tmp_path / "job"), callbacks=[killer])
    made = search(tuner(tmp_path / "job"))
    assert_same(made, whole)


def test_a_job_killed_after_each_epoch_ends_like_one_without_kills(tmp_path, whole):
    for _ in range(6):
        try:
            made = search(tuner(tmp_path / "job"), callbacks=[Killer(1)])
        except Kill:
            continue
        break
    assert_same(made, whole)
    assert max(row["attempts"] for row in made.results.rows()) >= 3


@pytest.mark.slow
@pytest.mark.parametrize("epochs", [1, 2, 4])
def test_a_killed_keras_training_ends_like_one_without_kills(tmp_path, epochs):
    # With dropout, an order that is shuffled, and compiled steps.
    def compiled(hp):
        model = build(hp)
        model.run_eagerly = False
        return model

    whole = search(tuner(tmp_path / "a", model=compiled))
    with pytest.raises(Kill):
        search(tuner(tmp_path / "b", model=compiled), callbacks=[Killer(epochs)])
    assert_same(search(tuner(tmp_path / "b", model=compiled)), whole)


@pytest.mark.slow
def test_dropout_and_order_continue_after_a_kill(tmp_path):
    options = {"model": build, "max_trials": 1}
    whole = search(tuner(tmp_path / "a", **options), epochs=2)
    with pytest.raises(Kill):
        search(tuner(tmp_path / "b", **options), epochs=2, callbacks=[Killer(1)])
    assert_same(search(tuner(tmp_path / "b", **options), epochs=2), whole)


@pytest.mark.parametrize(
    "moment", ["keep_weights", "done", "update_trial", "end_trial"]
)
@pytest.mark.quick(2)
def test_a_kill_between_two_files_changes_nothing(tmp_path, whole, monkeypatch, moment):
    def killed(*_, **__):
        raise Kill

    made = tuner(tmp_path / "job")
    if moment == "keep_weights":
        # The second of them, after the first epoch has been written.
        kept = []

        def second(*args):
            if kept:
                raise Kill
            kept.append(keep_weights(*args))

        monkeypatch.setattr("bptt_keras.tuning.jobs.execution.keep_weights", second)
    elif moment == "done":
        monkeypatch.setattr(Execution, "done", killed)
    else:
        monkeypatch.setattr(made.own_oracle, moment, killed)
    with pytest.raises(Kill):
        search(made)
    monkeypatch.undo()
    assert_same(search(tuner(tmp_path / "job")), whole)


def test_a_kill_after_the_last_epoch_loses_none_of_the_curve(
    tmp_path, whole, monkeypatch
):
    made = tuner(tmp_path / "job")
    report = made.own_oracle.report

    def killed(*args, kind="beat", **news):
        if kind == "epoch" and len(news["curve"]) == 3:
            raise Kill
        return report(*args, kind=kind, **news)

    monkeypatch.setattr(made.own_oracle, "report", killed)
    with pytest.raises(Kill):
        search(made)
    assert_same(search(tuner(tmp_path / "job")), whole)


def test_the_best_weights_are_kept_before_the_epoch_counts(tmp_path, monkeypatch):
    # A kill between the two would leave an epoch that is never the best again.
    order = []
    monkeypatch.setattr(
        "bptt_keras.tuning.jobs.execution.keep_weights", lambda *_: order.append("best")
    )
    monkeypatch.setattr(
        Checkpoint, "_write", lambda self, *_: order.append("checkpoint")
    )
    fit(tmp_path, 1)
    assert order == ["best", "checkpoint"]


def test_a_kill_between_two_renames_does_not_lose_the_checkpoint(tmp_path):
    _, first = fit(tmp_path, 2)
    folder = tmp_path / "execution0" / "checkpoint"
    folder.rename(folder.with_name("old.checkpoint"))
    assert execution(tmp_path / "execution0").checkpoint.is_dir()
    _, again = fit(tmp_path, 2)
    assert again.history == first.history


def test_a_half_written_checkpoint_is_not_used(tmp_path):
    _, first = fit(tmp_path, 1)
    new = tmp_path / "execution0" / "new.checkpoint"
    new.mkdir()
    (new / "state.json").write_text("{")
    _, again = fit(tmp_path, 2)
    assert again.history[0] == first.history[0]
    assert len(again.history) == 2
    assert not new.exists()


def test_random_numbers_of_python_and_numpy_continue(tmp_path):
    fit(tmp_path, 1)
    expected = random.random(), np.random.rand()
    random.seed(5)
    np.random.seed(5)
    model = quick(keras_tuner.HyperParameters())
    Checkpoint(execution(tmp_path / "execution0"), tmp_path / "b", []).restore(model)
    assert (random.random(), np.random.rand()) == expected


def test_the_optimizer_resumes(tmp_path):
    model, _ = fit(tmp_path, 2)
    again = quick(keras_tuner.HyperParameters())
    Checkpoint(execution(tmp_path / "execution0"), tmp_path / "b", []).restore(again)
    assert again.optimizer.iterations.numpy() == 2
    for a, b in zip(again.optimizer.variables, model.optimizer.variables, strict=True):
        np.testing.assert_array_equal(a.numpy(), b.numpy())


# --- Callbacks -----------------------------------------------------------------------


def early(**options):
    # No epoch is ever better by 100, so patience alone says when to end.
    return keras.callbacks.EarlyStopping("loss", min_delta=100.0, **options)


@pytest.mark.parametrize("killed", [1, 2, 3])
@pytest.mark.quick(1)
def test_patience_survives_a_kill(tmp_path, killed):
    whole = search(tuner(tmp_path / "a"), epochs=9, callbacks=[early(patience=3)])
    assert [len(row["curve"]) for row in rows(whole)] == [4, 4]
    with pytest.raises(Kill):
        search(
            tuner(tmp_path / "b"),
            epochs=9,
            callbacks=[early(patience=3), Killer(killed)],
        )
    cut = search(tuner(tmp_path / "b"), epochs=9, callbacks=[early(patience=3)])
    assert_same(cut, whole)


def test_a_stopped_training_run_is_not_resumed(tmp_path, monkeypatch):
    callbacks = [early(patience=1)]
    whole = search(tuner(tmp_path / "a"), epochs=9, callbacks=callbacks)

    def killed(*_):
        raise Kill

    monkeypatch.setattr(Execution, "done", killed)
    with pytest.raises(Kill):
        search(tuner(tmp_path / "b"), epochs=9, callbacks=callbacks)
    monkeypatch.undo()
    cut = search(tuner(tmp_path / "b"), epochs=9, callbacks=callbacks)
    assert [len(row["curve"]) for row in rows(cut)] == [2, 2]
    assert_same(cut, whole)


def test_a_plateau_of_the_learning_rate_survives_a_kill(tmp_path):
    def callback():
        return keras.callbacks.ReduceLROnPlateau(
            "loss", factor=0.5, patience=2, min_delta=100.0, min_lr=0.0
        )

    whole = search(tuner(tmp_path / "a"), epochs=5, callbacks=[callback()])
    with pytest.raises(Kill):
        search(tuner(tmp_path / "b"), epochs=5, callbacks=[callback(), Killer(2)])
    cut = search(tuner(tmp_path / "b"), epochs=5, callbacks=[callback()])
    assert_same(cut, whole)


def test_settings_of_a_callback_stay_as_they_are_now(tmp_path):
    class Named(keras.callbacks.Callback):
        def __init__(self, place):
            super().__init__()
            self.place, self.seen = place, 0

        def on_epoch_end(self, epoch, logs=None):
            self.seen += 1

    fit(tmp_path, 1, [Named("old")])
    later = Named("new")
    fit(tmp_path, 2, [later])
    assert (later.place, later.seen) == ("new", 2)


def test_a_different_callback_in_its_place_is_not_restored(tmp_path):
    class Counts(keras.callbacks.Callback):
        def __init__(self):
            super().__init__()
            self.wait = 7

    class Other(Counts):
        def __init__(self):
            super().__init__()
            self.wait = 0

    fit(tmp_path, 1, [Counts()])
    later = Other()
    fit(tmp_path, 2, [later])
    assert later.wait == 0


# --- Results -------------------------------------------------------------------------


def test_a_result_is_kept_with_its_curve(tmp_path):
    made = execution(tmp_path / "e")
    assert made.result() is None
    made.progress.tell([0.5, 0.25])
    made.done({"val_loss": np.float32(0.25)})
    again = execution(tmp_path / "e")
    assert again.result() == {"val_loss": 0.25}
    assert again.progress.curve == [0.5, 0.25]


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", "null"])
def test_a_damaged_result_is_ignored(tmp_path, content):
    made = execution(tmp_path / "e")
    (tmp_path / "e" / "result.json").write_text(content)
    assert made.result() is None


def test_a_nan_loss_fails_the_trial(tmp_path):
    class Break(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            logs["val_loss"] = float("nan")

    with pytest.raises(keras_tuner.errors.FailedTrialError, match="in epoch 1"):
        fit(tmp_path, 2, [Break()])
    assert not (tmp_path / "execution0" / "checkpoint").exists()


def test_an_execution_begins_where_another_ended(tmp_path):
    _, first = fit(tmp_path / "a", 1)
    other = execution(tmp_path / "a" / "execution0")
    made = execution(tmp_path / "b" / "execution0")
    made.begin_from(other)
    _, again = fit(tmp_path / "b", 2)
    _, whole = fit(tmp_path / "a", 2)
    assert again.history[0] == first.history[0]
    assert again.history == whole.history
    # One that has begun goes on with its own.
    made.begin_from(execution(tmp_path / "none"))
    assert json.loads((made.checkpoint / "state.json").read_text())["history"]


def test_an_execution_that_continues_a_stopped_one_does_not_stop(tmp_path):
    fit(tmp_path / "a", 9, [early(patience=1)])
    made = execution(tmp_path / "b" / "execution0")
    made.begin_from(execution(tmp_path / "a" / "execution0"))
    _, again = fit(tmp_path / "b", 4)
    assert len(again.history) == 4


@pytest.mark.parametrize("inputs", [True, False])
def test_best_weights_come_back_without_an_input_layer(tmp_path, inputs):
    hp = keras_tuner.HyperParameters()
    model = build(hp, inputs=inputs)
    expected = model(X).numpy()
    path = tmp_path / "best.weights.h5"
    keep_weights(model, path)
    again = build(hp, inputs=inputs)
    restore_model(again, path, tmp_path / "build_config.json")
    np.testing.assert_array_equal(again(X).numpy(), expected)


def test_the_weights_of_the_best_execution_are_kept(tmp_path):
    made = execution(tmp_path / "e", earlier=[-1.0])
    checkpoint = Checkpoint(made, tmp_path / "best.weights.h5", [])
    checkpoint.set_model(build(keras_tuner.HyperParameters()))
    checkpoint.model(X)
    checkpoint.on_epoch_end(0, {"loss": 1.0, "val_loss": 0.0})
    assert not (tmp_path / "best.weights.h5").exists()
    checkpoint.on_epoch_end(1, {"loss": 1.0, "val_loss": -2.0})
    assert (tmp_path / "best.weights.h5").exists()


# --- An objective that is not logged -------------------------------------------------


def test_an_objective_that_is_not_logged_is_named_with_the_logs():
    objective = keras_tuner.Objective("val_accuracy", "max")
    with pytest.raises(keras_tuner.errors.FatalValueError) as caught:
        refuse_unlogged(objective, {"loss": 1.0, "val_loss": 1.0})
    assert "val_accuracy is not in the logs" in str(caught.value)
    assert "loss, val_loss" in str(caught.value)


def test_an_epoch_without_validation_refuses_nothing():
    objective = keras_tuner.Objective("val_mae", "min")
    refuse_unlogged(objective, {"loss": 1.0, "mae": 1.0})
    with pytest.raises(ValueError, match="val_mae"):
        refuse_unlogged(objective, {"loss": 1.0})


def test_of_several_objectives_the_missing_one_is_named():
    names = ["val_loss", keras_tuner.Objective("val_mae", "min")]
    both = keras_tuner.Oracle(names).objective
    with pytest.raises(ValueError, match="objective val_mae is"):
        refuse_unlogged(both, {"loss": 1.0, "val_loss": 1.0})


def test_validation_every_second_epoch_is_enough(tmp_path):
    made = tuner(tmp_path / "job", model=build, max_trials=1)
    search(made, epochs=4, validation_freq=2)
    for row in made.results.rows():
        assert [np.isfinite(value) for value in row["curve"]] == [0, 1, 0, 1]
        assert row["value"] == min(row["curve"][1], row["curve"][3])
    best = made.results.best
    again = made.get_best_models()[0].evaluate(*VALIDATION, verbose=0)
    assert again == pytest.approx(best["value"], rel=1e-6)
