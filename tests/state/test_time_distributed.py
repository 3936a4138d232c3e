"""`TimeDistributed` equals its layer on each timestep, for any number of timesteps."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.state import Buffers, check_by_running, discover
from tests.state.models import small_net

STEPS = 9


def wrapped(layer, frame, *others, dtype=None):
    layers = [keras.layers.TimeDistributed(layer), *others]
    return keras.Sequential([keras.Input((None, *frame), dtype=dtype), *layers])


def data(rows, steps, frame):
    values = np.random.default_rng(rows).normal(size=(rows, steps, *frame))
    return values.astype("float32")


def counting_net():
    """A model in a model whose layers have masks of their own."""
    words = keras.layers.Embedding(5, 3, mask_zero=True)
    return keras.Sequential([keras.Input((4,)), words, keras.layers.GRU(2)])


INNER = {
    "Dense": (lambda: keras.layers.Dense(3), (2,)),
    "Dense of one feature": (lambda: keras.layers.Dense(1), (1,)),
    "Conv2D": (lambda: keras.layers.Conv2D(2, 3, padding="same"), (4, 5, 1)),
    "Sequential": (small_net, (4, 4, 1)),
    "GRU along another axis": (lambda: keras.layers.GRU(3), (4, 2)),
    "fused LSTM of sequences": (
        lambda: bk.layers.LSTM(3, return_sequences=True),
        (4, 2),
    ),
    "Bidirectional": (lambda: keras.layers.Bidirectional(keras.layers.GRU(2)), (4, 2)),
    "BatchNormalization": (keras.layers.BatchNormalization, (3,)),
    "TimeDistributed": (
        lambda: keras.layers.TimeDistributed(keras.layers.Dense(2)),
        (3, 2),
    ),
    "Flatten": (keras.layers.Flatten, (3, 2)),
    "masked words": (counting_net, (4,)),
}


@pytest.mark.parametrize("name", INNER)
@pytest.mark.parametrize("jit", [False, True], ids=["graph", "XLA"])
@pytest.mark.quick(6)
def test_one_program_serves_every_number_of_rows_and_timesteps(name, jit):
    make, frame = INNER[name]
    layer = make()
    step = bk.PureStep(wrapped(layer, frame))
    spec = tf.TensorSpec((None, None, *frame))
    program = tf.function(lambda x: step(x)[0], [spec], jit_compile=jit)
    for rows, steps in [(3, 5), (1, 5), (2, 1), (1, 7)]:
        x = np.abs(data(rows, steps, frame))
        expected = np.stack([layer(x[:, t]) for t in range(steps)], axis=1)
        np.testing.assert_allclose(program(x), expected, atol=2e-6)
        np.testing.assert_allclose(step(x)[0], expected, atol=2e-6)


@pytest.mark.parametrize("rows, steps", [(None, None), (3, None), (None, 5), (3, 5)])
def test_static_shapes_stay_known(rows, steps):
    step = bk.PureStep(wrapped(small_net(), (4, 4, 1)))
    seen = []

    @tf.function(input_signature=[tf.TensorSpec((rows, steps, 4, 4, 1))])
    def program(x):
        seen.append(step(x)[0].shape.as_list())

    program.get_concrete_function()
    assert seen == [[rows, steps, 2]]


def test_gradients_equal_those_without_it():
    dense = keras.layers.Dense(3, activation="tanh")
    plain = keras.Sequential([keras.Input((None, 2)), dense])
    x, found = data(2, 4, (2,)), []
    for model in (plain, wrapped(dense, (2,))):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(bk.PureStep(model)(x)[0] ** 2)
        found.append(tape.gradient(loss, [v.value for v in dense.weights]))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_a_mask_continues_after_it_as_in_keras():
    masking = keras.layers.Masking()
    after = keras.layers.GRU(2, return_sequences=True)
    wrapper = keras.layers.TimeDistributed(keras.layers.Dense(2))
    model = keras.Sequential([keras.Input((None, 3)), masking, wrapper, after])
    x = data(3, 6, (3,))
    x[0, 4:] = x[1, 2] = 0
    np.testing.assert_allclose(bk.PureStep(model)(x)[0], model(x), atol=1e-6)


def test_a_mask_does_not_reach_a_recurrent_layer_inside():
    gru = keras.layers.GRU(2)
    inputs = keras.Input((None, 4, 3))
    masked = keras.layers.Masking()(inputs)
    model = keras.Model(inputs, keras.layers.TimeDistributed(gru)(masked))
    x = data(2, 3, (4, 3))
    expected = np.stack([gru(x[:, t]) for t in range(3)], axis=1)
    np.testing.assert_allclose(bk.PureStep(model)(x)[0], expected, atol=1e-6)


class Fraction(keras.layers.Layer):
    """Each row's mask beside its first feature."""

    def compute_output_shape(self, shape):
        return (*shape[:-1], 2)

    def call(self, inputs, mask=None):
        if mask is None:
            mask = tf.ones(tf.shape(inputs)[:-1], tf.bool)
        return tf.stack([inputs[..., 0], tf.cast(mask, inputs.dtype)], axis=-1)


@pytest.mark.parametrize("masking", [False, True])
def test_a_layer_inside_that_takes_a_mask_gets_a_flag_for_each_row(masking):
    x, valid = data(2, 4, (3,)), np.ones((2, 4), bool)
    valid[0, 2:] = False
    inputs = keras.Input((None, 3))
    hidden = keras.layers.Masking()(inputs) if masking else inputs
    wrapper = keras.layers.TimeDistributed(Fraction())
    step = bk.PureStep(keras.Model(inputs, wrapper(hidden)))
    x[1, 0] = 0
    expected = valid.copy()
    expected[1, 0] = not masking
    np.testing.assert_array_equal(step(x, valid=valid)[0][..., 1], expected)


# --- Random draws ----------------------------------------------------------------


def draws(model, pieces, x):
    step = bk.PureStep(model)
    seeds = [v for v in model.variables if v.path.endswith("seed_generator_state")]
    found = []
    for start, stop in pieces:
        with Buffers(seeds, [v.value for v in seeds], []):
            found.append(step(x[:, start:stop], training=True, start=start)[0])
    return np.concatenate(found, axis=1)


@pytest.mark.parametrize("noise_shape", [None, (None, 1, 4)])
@pytest.mark.parametrize("nested", [False, True])
def test_dropout_inside_draws_in_pieces_what_it_draws_uncut(noise_shape, nested):
    layer = keras.layers.Dropout(0.5, seed=1, noise_shape=noise_shape)
    if nested:
        layer = keras.Sequential([keras.Input((3, 4)), layer])
    model, x = wrapped(layer, (3, 4)), np.ones((2, STEPS, 3, 4), "float32")
    whole = draws(model, [(0, STEPS)], x)
    np.testing.assert_array_equal(draws(model, [(0, 5), (5, STEPS)], x), whole)
    assert set(np.unique(whole)) == {0.0, 2.0}
    if noise_shape:
        np.testing.assert_array_equal(whole[:, :, :1] + 0 * whole, whole)
    # Timesteps do not share their draws.
    assert not (whole[:, :1] == whole).all()


def test_dropout_inside_two_of_them_draws_in_pieces_what_it_draws_uncut():
    layer = keras.layers.TimeDistributed(keras.layers.Dropout(0.5, seed=1))
    model, x = wrapped(layer, (3, 4)), np.ones((2, STEPS, 3, 4), "float32")
    whole = draws(model, [(0, STEPS)], x)
    np.testing.assert_array_equal(draws(model, [(0, 2), (2, STEPS)], x), whole)


@pytest.mark.parametrize(
    "layer, name",
    [
        (lambda: keras.layers.SpatialDropout1D(0.5, name="d"), "'d' (SpatialDropout1D"),
        (lambda: keras.layers.GRU(2, dropout=0.5), "(GRUCell"),
        (lambda: bk.layers.GRU(2, dropout=0.5), "(GRUCell"),
        (lambda: keras.layers.GaussianNoise(0.5, name="n"), "'n' (GaussianNoise"),
    ],
)
def test_other_random_draws_inside_are_known_to_repeat_in_parts(layer, name):
    step = bk.PureStep(wrapped(layer(), (4, 2)))
    traits = discover(step, tf.TensorSpec((None, None, 4, 2)))
    assert name in traits.why_not_in_parts
    assert name in traits.why_padding_counts


def test_dropout_inside_does_not_prevent_a_window_from_running_in_parts():
    step = bk.PureStep(wrapped(keras.layers.Dropout(0.5), (4, 2)))
    traits = discover(step, tf.TensorSpec((None, None, 4, 2)))
    assert traits.why_not_in_parts is None
    assert traits.why_padding_counts is None


# --- What looks at a model beforehand ----------------------------------------------


@pytest.mark.parametrize("name", INNER)
def test_the_examinations_accept_it(name):
    make, frame = INNER[name]
    step = bk.PureStep(wrapped(make(), frame))
    spec = tf.TensorSpec((None, None, *frame))
    assert discover(step, spec).sequence_output
    assert check_by_running(step, spec) is None


# --- Averages and losses -----------------------------------------------------------


def test_batch_normalization_inside_averages_over_rows_and_timesteps():
    x = 3 + data(4, 6, (2,))
    layer = keras.layers.BatchNormalization(momentum=0.5)
    outputs, _ = bk.PureStep(wrapped(layer, (2,)))(x, training=True)
    np.testing.assert_allclose(layer.moving_mean, 0.5 * x.mean((0, 1)), rtol=1e-5)
    np.testing.assert_allclose(outputs, (x - x.mean((0, 1))) / x.std((0, 1)), atol=2e-3)


def test_an_activity_regularizer_in_a_model_inside_counts_as_it_does_without():
    dense = keras.layers.Dense(3, activity_regularizer=keras.regularizers.L2(0.1))
    plain = keras.Sequential([keras.Input((None, 2)), dense])
    inner = keras.Sequential([keras.Input((2,)), dense])
    x, losses = data(3, 5, (2,)), []
    for model in (plain, wrapped(inner, (2,))):
        bk.PureStep(model)(x)
        losses.append(float(sum(model.losses)))
    np.testing.assert_allclose(*losses, rtol=1e-6)
