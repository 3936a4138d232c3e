"""Cutting time changes nothing, for models of every shape."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.state import Buffers, timed_inputs
from tests.state.models import MODELS, STEPS, smaller


def assert_same(received, expected):
    pairs = zip(tf.nest.flatten(received), tf.nest.flatten(expected), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, atol=2e-6)  # convolutions in another order


def cut(inputs, timed, window):
    return tf.nest.map_structure(lambda x, t: x[:, window] if t else x, inputs, timed)


def joined(pieces):
    """Outputs with a time axis side by side, of others the last."""

    def join(*parts):
        sizes = [part.shape[1] for part in parts]
        return tf.concat(parts, 1) if sum(sizes) == STEPS else parts[-1]

    return tf.nest.map_structure(join, *pieces)


@pytest.fixture(scope="module", params=smaller(MODELS))
def case(request):
    keras.utils.set_random_seed(20)
    model, inputs = MODELS[request.param]()
    return bk.PureStep(model), inputs


def test_pieces_equal_one_call(case):
    step, inputs = case
    cuts = [1, 2, 8]
    timed = timed_inputs(step.model, inputs)
    whole, last = step(inputs)
    assert_same(whole, step.model(inputs))
    state, pieces = None, []
    for start, stop in zip([0, *cuts], [*cuts, STEPS], strict=True):
        piece, state = step(cut(inputs, timed, slice(start, stop)), state)
        pieces.append(piece)
    assert_same([joined(pieces), state], [whole, last])


# The quick ones are those whose loops or layers no other test compiles.
QUICK = ["RNN of a nested cell", "ConvLSTM2D", "dicts", "static input, repeated"]


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in MODELS],
)
def test_xla_equals_eager(name):
    model, inputs = MODELS[name]()
    step = bk.PureStep(model)
    compiled = tf.function(step, jit_compile=True, autograph=False)
    state = step(cut(inputs, timed_inputs(step.model, inputs), slice(0, 3)))[1]
    inputs = tf.nest.map_structure(tf.convert_to_tensor, inputs)
    assert_same(compiled(inputs, state), step(inputs, state))


def test_a_layer_that_is_never_called_needs_no_weights():
    class Spare(keras.Model):
        def __init__(self):
            super().__init__()
            self.used = keras.layers.GRU(2, name="used")
            self.spare = keras.layers.Dense(2)

        def call(self, inputs):
            return self.used(inputs)

    model = Spare()
    with pytest.raises(ValueError, match="'spare.*have no weights yet"):
        bk.PureStep(model)
    model(np.zeros((1, 2, 3)))
    assert list(bk.PureStep(model).layers) == ["used"]


def test_the_state_of_a_row_can_be_reset_within_a_piece(case):
    step, inputs = case
    timed = timed_inputs(step.model, inputs)
    reset = np.zeros((3, STEPS), bool)
    reset[1, 4] = True
    received = step(inputs, reset=reset)
    fresh = step(cut(inputs, timed, slice(4, STEPS)))
    unbroken = step(inputs)
    for got, want, other in zip(
        *(tf.nest.flatten(part) for part in (received, fresh, unbroken)), strict=True
    ):
        tail = got[:, 4:] if got.shape[1] == STEPS and got.shape.rank > 2 else got
        np.testing.assert_allclose(tail[1], want[1], atol=2e-6)
        np.testing.assert_allclose(got[0], other[0], atol=2e-6)


def test_dropout_draws_in_pieces_what_it_draws_uncut():
    layer = keras.layers.Dropout(0.5, seed=1)
    model = keras.Sequential([keras.Input((None, 4)), layer])
    step, x = bk.PureStep(model), np.ones((2, 9, 4), "float32")
    seed = layer.seed_generator.state

    def run(x, start):
        with Buffers([seed], [seed.value], []):
            return step(x, training=True, start=start)[0]

    pieces = [run(x[:, :5], 0), run(x[:, 5:], 5)]
    np.testing.assert_array_equal(np.concatenate(pieces, 1), run(x, 0))
