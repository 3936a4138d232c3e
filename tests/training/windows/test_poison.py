"""Windows that are not finite: what is left out, what is reset, what continues."""

import keras
import numpy as np
import pytest

import bptt_keras as bk
from bptt_keras.training.clipping import ClippedOptimizer

WINDOW = 5


def trainer_of(optimizer=None, **options):
    """A state that doubles each step, so that large inputs overflow."""
    keras.utils.set_random_seed(3)
    layer = bk.layers.SimpleRNN(
        1,
        activation="linear",
        kernel_initializer="ones",
        recurrent_initializer=keras.initializers.Constant(2.0),
        return_sequences=True,
        name="memory",
    )
    model = keras.Sequential(
        [keras.layers.Input((None, 1)), layer, keras.layers.Dense(1)]
    )
    trainer = bk.TruncatedBPTT(model, window=WINDOW, **options)
    optimizer = optimizer or ClippedOptimizer(keras.optimizers.SGD(1e-3))
    trainer.compile(optimizer, loss="mse", metrics=["mae"])
    return trainer


def guarded():
    return ClippedOptimizer(keras.optimizers.SGD(1e-3))


def plain():
    return keras.optimizers.SGD(1e-3)


BOTH = pytest.mark.parametrize("made", [guarded, plain])


def skipped(trainer):
    """How many updates were left out."""
    return int(trainer._engine.compilation.optimizer.skipped)


def batch(rows=3):
    """One row overflows in the second window of three; the others don't."""
    x = np.full((rows, 3 * WINDOW, 1), 1e-3, "float32")
    x[1, WINDOW] = 3e38
    y = np.zeros_like(x)
    return {"inputs": x, "reset": np.ones(rows, bool)}, y


def state_of(trainer):
    return trainer.snapshot_state()["state"]["memory"]


@pytest.mark.parametrize(
    "options",
    [{}, {"update": 2}, pytest.param({"shards": 2}, marks=pytest.mark.slow)],
    ids=str,
)
@pytest.mark.parametrize("jit_compile", [True, False])
@BOTH
@pytest.mark.quick(1)
def test_a_nonfinite_window_is_left_out_and_its_row_is_reset(
    made, options, jit_compile
):
    trainer = trainer_of(made(), **options)
    trainer.compile(
        trainer.optimizer, loss="mse", metrics=["mae"], jit_compile=jit_compile
    )
    x, y = batch()
    logs = trainer.train_on_batch(x, y, return_dict=True)
    assert logs["skipped_windows"] == 1
    assert skipped(trainer) == 1
    for name in ("loss", "mae", "grad_norm", "update_ratio", "state_norm"):
        assert np.isfinite(logs[name]), name
    assert all(np.isfinite(w).all() for w in trainer.get_weights())
    (state,) = (np.asarray(v) for v in state_of(trainer).values())
    # 5 steps after its fresh start the row is behind the others, which had 15.
    assert np.isfinite(state).all()
    assert 0 < abs(state[1, 0]) < 0.1 * abs(state[0, 0])
    np.testing.assert_allclose(state[0], state[2], rtol=1e-6)


def test_without_the_guard_one_row_spoils_all_rows():
    trainer = trainer_of(plain(), skip_nonfinite=False)
    x, y = batch()
    logs = trainer.train_on_batch(x, y, return_dict=True)
    assert "skipped_windows" not in logs
    assert not np.isfinite(trainer.get_weights()[0]).all()


@BOTH
@pytest.mark.quick(1)
def test_the_other_windows_are_learned_as_if_all_were_finite(made):
    """The weights are those of windows 1 and 3 alone."""
    x, y = batch()
    poisoned = trainer_of(made())
    poisoned.train_on_batch(x, y)
    weights = poisoned.get_weights()
    clean = trainer_of(made())
    first = {"inputs": x["inputs"][:, :WINDOW], "reset": x["reset"]}
    clean.train_on_batch(first, y[:, :WINDOW])
    # What the second window does to the rows that are not poisoned, without learning.
    step = bk.PureStep(clean.model)
    state = clean.snapshot_state()
    _, after = step(x["inputs"][:, WINDOW : 2 * WINDOW], state["state"])
    name = next(iter(after["memory"]))
    value = np.array(after["memory"][name])
    value[1] = 0
    state["state"] = {"memory": {name: value}}
    clean.restore_state(state)
    last = {"inputs": x["inputs"][:, 2 * WINDOW :], "reset": np.zeros(3, bool)}
    clean.train_on_batch(last, y[:, 2 * WINDOW :])
    for a, b in zip(weights, clean.get_weights(), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5)


def test_fit_ends_when_all_windows_are_nonfinite():
    x, y = batch()
    x["inputs"][:] = 3e38
    trainer = trainer_of(ClippedOptimizer(keras.optimizers.SGD(1e-3), stop_after=4))
    before = trainer.get_weights()
    with pytest.warns(UserWarning, match="6 updates were left out"):
        history = trainer.fit(x, y, batch_size=3, epochs=9, verbose=0).history
    # It is looked at after each batch, of three windows here.
    assert history["skipped_windows"] == [3, 3]
    for a, b in zip(before, trainer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


def test_a_plain_optimizer_is_guarded_and_told_of():
    x, y = batch()
    trainer = trainer_of(plain(), live_metrics=False)
    with pytest.warns(UserWarning, match="In epoch 1, 1 update was left out"):
        history = trainer.fit(x, y, batch_size=3, epochs=2, verbose=0).history
    assert np.isfinite(history["loss"]).all()
    assert "skipped_windows" not in history
    # What the optimizer counts are updates that were made.
    assert int(trainer.optimizer.iterations) == 4


def test_a_fit_without_any_finite_window_has_no_loss_and_ends():
    x, y = batch()
    x["inputs"][:] = 3e38
    trainer = trainer_of(plain())
    before = trainer.get_weights()
    with pytest.warns(UserWarning, match="12 updates were left out"):
        history = trainer.fit(x, y, batch_size=3, epochs=9, verbose=0).history
    assert history["skipped_windows"] == [3] * 4
    assert np.isnan(history["loss"]).all()
    for a, b in zip(before, trainer.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.quick(1)
def test_a_state_whose_square_is_infinite_costs_one_window(jit_compile):
    x, y = batch()
    x["inputs"][1, WINDOW] = 1e37  # 1.6e38 at the end of the window: finite
    trainer = trainer_of(plain())
    trainer.compile(plain(), loss="mse", jit_compile=jit_compile)
    logs = trainer.train_on_batch(x, y, return_dict=True)
    assert logs["skipped_windows"] == 1
    (state,) = (np.asarray(v) for v in state_of(trainer).values())
    assert 0 < abs(state[1, 0]) < 0.1 * abs(state[0, 0])


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [True, False])
def test_a_guarded_optimizer_updates_as_it_does_alone(jit_compile):
    results = []
    for skips in (True, False):
        optimizer = keras.optimizers.Adam(
            1e-2, global_clipnorm=1e-3, loss_scale_factor=8.0
        )
        trainer = trainer_of(optimizer, skip_nonfinite=skips)
        trainer.compile(optimizer, loss="mse", jit_compile=jit_compile)
        x, y = batch()
        x["inputs"][1, WINDOW] = 1.0
        logs = [trainer.train_on_batch(x, y, return_dict=True) for _ in range(2)][-1]
        results.append((trainer.get_weights(), logs))
    (with_guard, logs), (alone, expected) = results
    for a, b in zip(with_guard, alone, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    for name in ("loss", "grad_norm", "clipped_norm", "clipped_fraction"):
        assert logs[name] == pytest.approx(expected[name], rel=1e-4), name


def test_two_answers_to_the_same_question_are_refused():
    with pytest.raises(ValueError, match="Make both the same"):
        trainer_of(guarded(), skip_nonfinite=False)
    # An optimizer that applies them was asked for by name.
    trainer = trainer_of(
        ClippedOptimizer(keras.optimizers.SGD(1e-3), skip_nonfinite=False)
    )
    trainer.train_on_batch(*batch())
    assert not np.isfinite(trainer.get_weights()[0]).all()


def test_moving_averages_of_the_model_stay_finite():
    model = keras.Sequential(
        [
            keras.layers.Input((None, 1)),
            keras.layers.BatchNormalization(),
            bk.layers.SimpleRNN(1, activation="linear", return_sequences=True),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=WINDOW)
    trainer.compile(ClippedOptimizer(keras.optimizers.SGD(1e-3)), loss="mse")
    x, y = batch()
    x["inputs"][1, WINDOW:] = 3e38
    logs = trainer.train_on_batch(x, y, return_dict=True)
    assert logs["skipped_windows"] == 2
    assert all(np.isfinite(v).all() for v in model.get_weights())


def test_many_to_one_skips_too():
    model = keras.Sequential(
        [
            keras.layers.Input((None, 1)),
            bk.layers.SimpleRNN(1, activation="linear"),
            keras.layers.Dense(1),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=WINDOW)
    trainer.compile(ClippedOptimizer(keras.optimizers.SGD(1e-3)), loss="mse")
    x = np.full((2, 12, 1), 3e38, "float32")
    logs = trainer.train_on_batch(x, np.zeros((2, 1)), return_dict=True)
    assert logs["skipped_windows"] == 1


def test_half_precision_leaves_overflow_to_the_loss_scale():
    keras.config.set_dtype_policy("mixed_float16")
    x, y = batch()
    x["inputs"] = np.minimum(x["inputs"], 6e4)
    trainer = trainer_of(ClippedOptimizer(keras.optimizers.SGD(1e-3)))
    logs = trainer.train_on_batch(x, y, return_dict=True)
    assert np.isfinite(logs["loss"]) and logs["skipped_windows"] >= 1
    assert int(trainer.optimizer.inner_optimizer.skipped) == 0
