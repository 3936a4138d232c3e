"""Carried layers whose initial state is a weight, in `PureStep` and over windows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from tests.training.references import series

UNITS = 4


class LearningCell(keras.layers.SimpleRNNCell):
    """A user's own cell that starts from a weight."""

    def build(self, shape):
        super().build(shape)
        self.first = self.add_weight(shape=(self.units,), name="first")

    def get_initial_state(self, batch_size=None):
        return [tf.broadcast_to(tf.convert_to_tensor(self.first), (batch_size, UNITS))]


def model_of(**options):
    rnn = keras.layers.RNN(
        LearningCell(UNITS, **options), return_sequences=True, **options
    )
    model = keras.Sequential([keras.Input((None, 3)), rnn, keras.layers.Dense(2)])
    random = np.random.default_rng(2)
    model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
    return model


def fused_model():
    layer = bk.layers.LSTM(UNITS, return_sequences=True, learn_initial_state=True)
    return keras.Sequential([keras.Input((None, 3)), layer, keras.layers.Dense(2)])


def by_hand(model, optimizer, x, y, window, reset, state):
    """One pass: a tape and an update a window, every step one call of the cell.

    `reset` is `(batch, time)`. The initial state is made inside each tape, and the
    state between two windows is a constant. Returns the last state.
    """
    cell, dense = model.layers[0].cell, model.layers[1]
    variables = [v.value for v in model.trainable_variables]
    state = tf.constant(state)
    for start in range(0, x.shape[1], window):
        with tf.GradientTape() as tape:
            errors = []
            for t in range(start, min(start + window, x.shape[1])):
                (initial,) = cell.get_initial_state(len(x))
                state = tf.where(reset[:, t, None], initial, state)
                _, (state,) = cell(x[:, t], [state])
                errors.append(tf.reduce_mean((dense(state) - y[:, t]) ** 2))
            loss = tf.reduce_mean(tf.stack(errors))
        slopes = tape.gradient(loss, variables)
        slopes = [
            tf.zeros_like(v) if s is None else s
            for s, v in zip(slopes, variables, strict=True)
        ]
        optimizer.apply(slopes, model.trainable_variables)
        state = tf.stop_gradient(state)
    return state


def planes():
    """What a batch says, and the same as a plane `(batch, time)`: first and second."""
    start = np.zeros((3, 6), bool)
    start[:, 0] = True
    inside = np.zeros((3, 6), bool)
    inside[0, 1] = inside[1, 0] = inside[1, 4] = True
    rows = np.zeros((3, 6), bool)
    rows[[0, 2], 0] = True
    return {
        "fresh": ([None, None], [start, start]),
        "rows": ([start[:, 0], rows[:, 0]], [start, rows]),
        "plane": ([start, inside], [start, inside]),
    }


@pytest.mark.parametrize(
    ("kind", "jit_compile"),
    [
        ("plane", True),
        ("fresh", False),
        ("rows", False),
        pytest.param("fresh", True, marks=pytest.mark.slow),
        pytest.param("rows", True, marks=pytest.mark.slow),
        pytest.param("plane", False, marks=pytest.mark.slow),
    ],
)
@pytest.mark.quick(1)
def test_two_batches_in_windows_equal_a_tape_by_hand(kind, jit_compile):
    """Six steps in windows of two: all weights, the initial state among them."""
    ours = model_of()
    theirs = model_of()
    trainer = bk.TruncatedBPTT(ours, 2, shards=1)
    trainer.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
    optimizer, state = keras.optimizers.SGD(0.1), np.zeros((3, UNITS), "float32")
    for index, (flags, plane) in enumerate(zip(*planes()[kind], strict=True)):
        x, y = series(3, 6, seed=index)
        trainer.train_on_batch(x if flags is None else {"inputs": x, "reset": flags}, y)
        state = by_hand(theirs, optimizer, x, y, 2, plane, state)
    for a, b in zip(ours.weights, theirs.weights, strict=True):
        # Six updates, each with rounding of its own.
        np.testing.assert_allclose(a, b, atol=2e-6, rtol=1e-5, err_msg=a.path)


def test_shards_do_not_change_the_gradient_of_the_initial_state():
    whole = model_of()
    parts = model_of()
    x, y = series(4, 6)
    for model, shards in ((whole, 1), (parts, 2)):
        trainer = bk.TruncatedBPTT(model, 3, shards=shards)
        trainer.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
        trainer.train_on_batch(x, y)
    for a, b in zip(whole.weights, parts.weights, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_a_masked_step_after_a_reset_is_a_masked_start():
    """A loop for any cell repeats the initial output, as it does at the start."""

    class StartsAtOne(keras.layers.SimpleRNNCell):
        def get_initial_state(self, batch_size=None):
            return [tf.ones((batch_size, self.units))]

    layer = keras.layers.RNN(StartsAtOne(UNITS), return_sequences=True)
    step = bk.PureStep(keras.Sequential([keras.Input((None, 3)), layer]))
    x, _ = series(2, 5)
    valid, reset = np.ones((2, 5), bool), np.zeros((2, 5), bool)
    valid[:, 2] = False
    reset[:, 2] = True
    whole, _ = step(x, reset=reset, valid=valid)
    fresh, _ = step(x[:, 2:], valid=valid[:, 2:])
    np.testing.assert_array_equal(whole[:, 2], 1)
    np.testing.assert_allclose(whole[:, 2:], fresh, atol=1e-6)


def test_a_weight_as_initial_state_has_the_compute_dtype():
    step = bk.PureStep(model_of(dtype="mixed_float16"))
    x, _ = series(2, 4)
    reset = np.zeros((2, 4), bool)
    reset[1, 2] = True
    _, state = step(x, reset=reset)
    for named in (step.initial_state(2), state):
        assert {t.dtype for t in tf.nest.flatten(named)} == {tf.float16}


def test_a_frozen_initial_state_is_not_learned():
    model = model_of()
    model.layers[0].cell.trainable = False
    assert not bk.PureStep(model).learns_initial_state


@pytest.mark.parametrize("traced", [False, True], ids=["eager", "traced"])
def test_it_is_found_wherever_it_is_first_used(traced):
    step, found = bk.PureStep(model_of()), []

    def ask():
        found.append(step.learns_initial_state)

    tf.function(ask).get_concrete_function() if traced else ask()
    assert found == [True]


def test_an_integer_state_is_no_obstacle():
    class Counter(keras.layers.Layer):
        state_size = output_size = 1

        def get_initial_state(self, batch_size=None):
            return [tf.zeros((batch_size, 1), tf.int32)]

        def call(self, inputs, states):
            return inputs, [states[0] + 1]

    layer = keras.layers.RNN(Counter(), return_sequences=True)
    model = keras.Sequential([keras.Input((None, 1)), layer, keras.layers.Dense(1)])
    assert not bk.PureStep(model).learns_initial_state


def test_a_trained_initial_state_evaluates_the_same_after_loading(tmp_path):
    trainer = bk.TruncatedBPTT(fused_model(), 2, shards=1)
    trainer.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=False)
    x, y = series(3, 6)
    trainer.fit(x, y, batch_size=3, epochs=2, verbose=0)
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.models.load_model(tmp_path / "trainer.keras")
    for name in ("initial_h", "initial_c"):
        first, second = (
            next(v for v in t.model.weights if v.name == name).numpy()
            for t in (trainer, loaded)
        )
        assert np.abs(first).max() > 1e-4
        np.testing.assert_array_equal(first, second)
    expected = trainer.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(loaded.evaluate(x, y, verbose=0), expected, rtol=1e-6)
