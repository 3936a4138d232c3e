"""Layers with random draws: in training, in inference, and cut into windows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.kernels.dropout import dropout, keep_by_timestep, starting_at
from tests import references
from tests.training.references import assert_same_weights, series

ROWS, TIME, FEATURES, UNITS = 4, 9, 3, 5
RATES = {"zoneout_h": 0.3, "zoneout_c": 0.6}
SEED = 7


def inputs(rows=ROWS, time=TIME, dtype="float64"):
    return np.random.default_rng(0).normal(size=(rows, time, FEATURES)).astype(dtype)


def flags_of(name):
    """Padding, holes, a wholly masked row; resets at masked steps too."""
    mask = np.ones((ROWS, TIME), bool)
    mask[0, 6:] = mask[1, 0] = mask[1, 4] = mask[2] = False
    reset = np.zeros((ROWS, TIME), bool)
    reset[0, 3] = reset[1, 4] = reset[3, 0] = reset[3, 5] = True
    return {k: f for k, f in {"mask": mask, "reset": reset}.items() if k in name}


def zoneout(units=UNITS, dtype="float64", **options):
    keras.utils.set_random_seed(5)
    options = {"return_sequences": True, "zoneout_seed": SEED, **RATES, **options}
    layer = bk.layers.ZoneoutLSTM(units, dtype=dtype, **options)
    layer.build((None, None, FEATURES))
    return layer


def weight_drop(units=UNITS, dtype="float64", **options):
    keras.utils.set_random_seed(5)
    options = {"weight_dropout": 0.4, "weight_dropout_seed": SEED, **options}
    layer = bk.layers.WeightDropLSTM(
        units, dtype=dtype, return_sequences=True, **options
    )
    layer.build((None, None, FEATURES))
    return layer


def weights_of(layer):
    return {v.name: v.numpy().astype("float64") for v in layer.trainable_variables}


def zoneout_draws(call=0):
    """1 where h, and where c, keeps its past in that call of the layer, else 0."""
    seeds = [SEED, call], [SEED, call + 2**32]
    return [
        1.0 - keep_by_timestep((ROWS, TIME, UNITS), rate, seed).numpy()
        for rate, seed in zip(RATES.values(), seeds, strict=True)
    ]


def zoneout_reference(layer, x, draws, **flags):
    return references.zoneout_lstm(weights_of(layer), x, *draws, **flags)


@pytest.mark.parametrize("flags", ["plain", "mask", "reset", "mask and reset"])
def test_zoneout_in_training_equals_plain_loops_with_the_same_draws(flags):
    layer, flags = zoneout(), flags_of(flags)
    for call in (0, 1):
        received = layer(inputs(), training=True, **flags)
        draws = zoneout_draws(call)
        expected = zoneout_reference(layer, inputs(), draws, **flags)
        np.testing.assert_allclose(received, expected, atol=1e-12)


@pytest.mark.parametrize("flags", ["plain", "mask and reset"])
def test_zoneout_gradients_in_training_equal_finite_differences(flags):
    layer, flags, draws = zoneout(), flags_of(flags), zoneout_draws()
    x = tf.constant(inputs())
    kernel = layer.cell.recurrent_kernel
    with tf.GradientTape() as tape:
        tape.watch(x)
        loss = tf.reduce_sum(tf.sin(3 * layer(x, training=True, **flags)))
    received = tape.gradient(loss, [x, kernel.value])

    def plain(x, recurrent_kernel):
        kernel.assign(recurrent_kernel)
        return np.sin(3 * zoneout_reference(layer, x, draws, **flags)).sum()

    expected = references.finite_differences(plain, [inputs(), kernel.numpy()])
    for slope, wanted in zip(received, expected, strict=True):
        # Central differences are good to about 1e-9 of the largest entry.
        scale = max(1, np.abs(wanted).max())
        np.testing.assert_allclose(slope / scale, wanted / scale, atol=1e-7)


def test_zoneout_keeps_values_at_its_rates():
    rows, time = 40, 60
    layer = zoneout(16, "float32", return_state=True)
    steps, state = [], None
    x = inputs(rows, time, "float32")
    for t in range(time):
        _, *new = layer(x[:, t : t + 1], initial_state=state, training=True)
        if state is not None:
            steps.append([np.mean(n == o) for n, o in zip(new, state, strict=True)])
        state = [s.numpy() for s in new]
    kept = np.mean(steps, axis=0)
    # Four standard deviations of a share of 59 * 40 * 16 draws.
    np.testing.assert_allclose(kept, list(RATES.values()), atol=4 * 0.5 / 194)


def test_zoneout_draws_of_h_and_c_and_of_neighbours_are_independent():
    h, c = (
        ~keep_by_timestep((50, 40, 20), 0.5, [SEED, i * 2**32]).numpy() for i in (0, 1)
    )
    # Four standard deviations of 40,000, and of 39,000, coins.
    assert abs(np.mean(h == c) - 0.5) < 4 * 0.5 / 200
    assert abs(np.mean(h[:, 1:] == h[:, :-1]) - 0.5) < 4 * 0.5 / 197


@pytest.mark.parametrize("flags", ["plain", "mask and reset"])
def test_zoneout_in_inference_weighs_old_and_new_by_the_rates(flags):
    layer, flags = zoneout(), flags_of(flags)
    expected = references.zoneout_lstm(
        weights_of(layer), inputs(), *RATES.values(), **flags
    )
    np.testing.assert_allclose(layer(inputs(), **flags), expected, atol=1e-12)


def test_zoneout_in_inference_is_the_mean_of_one_step_in_training():
    """With c never kept: h follows from c by a curve, which moves the mean."""
    layer = zoneout(return_state=True, zoneout_c=0.0)
    x = np.repeat(inputs(1, 1), 4000, axis=0)
    state = [np.full((4000, UNITS), value) for value in (0.5, -0.2)]
    _, h, _ = layer(x, initial_state=state, training=True)
    _, wanted, _ = layer(x[:1], initial_state=[s[:1] for s in state])
    # Four standard deviations of a mean of 4,000 draws between two values.
    spread = np.ptp(h, axis=0)
    assert (np.abs(np.mean(h, axis=0) - wanted[0]) < 4 * spread * 0.46 / 63).all()


def at_rest(layer):
    """Seeds go back to where they began, as for the windows of one sequence."""
    for variable in layer.non_trainable_variables:
        variable.assign([SEED, 0])


@pytest.mark.parametrize("cut", [1, 4, 8])
@pytest.mark.parametrize("layer", [zoneout, weight_drop])
def test_a_cut_training_run_draws_what_the_uncut_one_draws(layer, cut):
    layer, x = layer(return_state=True), inputs()
    whole, *last = layer(x, training=True)
    at_rest(layer)
    first, *state = layer(x[:, :cut], training=True)
    at_rest(layer)
    with starting_at(cut):
        second, *end = layer(x[:, cut:], initial_state=state, training=True)
    np.testing.assert_allclose(tf.concat([first, second], 1), whole, atol=1e-12)
    for received, expected in zip(end, last, strict=True):
        np.testing.assert_allclose(received, expected, atol=1e-12)


def test_a_zoneout_window_elsewhere_in_time_draws_other_numbers():
    layer, x = zoneout(), inputs()
    first = layer(x, training=True)
    at_rest(layer)
    with starting_at(TIME):
        assert np.abs(first - layer(x, training=True)).max() > 0.01


@pytest.mark.parametrize("layer", [zoneout, weight_drop])
@pytest.mark.parametrize("jit", [False, True])
def test_compiled_training_draws_what_eager_training_draws(layer, jit):
    layer = layer()
    expected = [layer(inputs(), training=True).numpy() for _ in range(2)]
    at_rest(layer)
    compiled = tf.function(lambda x: layer(x, training=True), jit_compile=jit)
    for wanted in expected:
        np.testing.assert_allclose(compiled(inputs()), wanted, atol=1e-12)
    assert np.abs(expected[0] - expected[1]).max() > 1e-3


@pytest.mark.parametrize("flags", ["plain", "mask and reset"])
def test_weight_drop_in_training_is_an_lstm_with_the_dropped_kernel(flags):
    layer, flags = weight_drop(), flags_of(flags)
    lstm = bk.layers.LSTM(UNITS, return_sequences=True, dtype="float64")
    lstm.build((None, None, FEATURES))
    for call in (0, 1):
        kernel, recurrent, bias = layer.cell.get_weights()[:3]
        dropped = dropout(tf.constant(recurrent), 0.4, [SEED, call]).numpy()
        lstm.set_weights([kernel, dropped, bias])
        received = layer(inputs(), training=True, **flags)
        np.testing.assert_allclose(received, lstm(inputs(), **flags), atol=1e-12)


def test_weight_drop_gives_no_gradient_to_what_it_drops():
    layer = weight_drop()
    kernel = layer.cell.recurrent_kernel
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer(inputs(), training=True))
    slope = tape.gradient(loss, kernel.value).numpy()
    dropped = dropout(tf.ones(kernel.shape), 0.4, [SEED, 0]).numpy() == 0
    np.testing.assert_array_equal(slope == 0, dropped)


def test_weight_drop_draws_its_fraction_anew_in_each_call():
    layer = weight_drop(100, "float32")
    kernel = tf.ones((100, 400))
    first, second = (layer._dropped_kernel(kernel, True).numpy() for _ in range(2))
    for dropped in (first, second):
        # Four standard deviations of a share of 40,000 draws.
        assert abs(np.mean(dropped == 0) - 0.4) < 4 * 0.49 / 200
        # The rate is met to one part in 65,536.
        np.testing.assert_allclose(dropped[dropped > 0], 1 / 0.6, rtol=1e-4)
    assert np.mean((first == 0) != (second == 0)) > 0.4


def test_weight_drop_in_inference_uses_the_full_kernel():
    layer = weight_drop()
    lstm = bk.layers.LSTM(UNITS, return_sequences=True, dtype="float64")
    lstm.build((None, None, FEATURES))
    lstm.set_weights(layer.cell.get_weights()[:3])
    np.testing.assert_array_equal(layer(inputs()), lstm(inputs()))
    np.testing.assert_array_equal(layer(inputs(), training=False), lstm(inputs()))


def trained(recompute, jit, seed=3):
    """A model of three kinds of chance after two batches."""
    keras.utils.set_random_seed(seed)
    model = keras.Sequential(
        [
            keras.Input((None, FEATURES)),
            bk.layers.ZoneoutLSTM(
                4, zoneout_h=0.2, zoneout_c=0.4, return_sequences=True
            ),
            keras.layers.Dropout(0.3),
            bk.layers.WeightDropLSTM(
                4, weight_dropout=0.3, dropout=0.2, return_sequences=True
            ),
            keras.layers.Dense(2),
        ]
    )
    # Weights of one seed, so that another seed changes the draws alone.
    start = np.random.default_rng(0)
    for variable in model.trainable_variables:
        variable.assign(start.normal(size=variable.shape))
    trainer = bk.TruncatedBPTT(model, window=None, recompute=recompute, shards=1)
    trainer.compile(keras.optimizers.SGD(0.3), "mse", jit_compile=jit)
    x, y = series(4, 11)
    trainer.fit(x, y, batch_size=2, shuffle=False, verbose=0)
    return model


@pytest.mark.slow
@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_recomputing_in_segments_repeats_the_random_draws(jit):
    model = trained("sqrt", jit)
    whole = trained(None, jit)
    # XLA sums in another order.
    assert_same_weights(model, whole, atol=3e-6)


@pytest.mark.slow
def test_another_seed_learns_something_else():
    model, other = trained(None, False), trained(None, False, seed=4)
    for own, its in zip(
        model.trainable_variables, other.trainable_variables, strict=True
    ):
        assert np.abs(own - its).max() > 1e-3
