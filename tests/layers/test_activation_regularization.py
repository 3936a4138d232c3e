"""Losses on activations and their change: values, gradients, and what counts."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.layers import ActivationRegularization
from tests.references import finite_differences
from tests.training.references import assert_same_weights, series

ROWS, TIME, UNITS = 3, 5, 2
FLAGS = ["plain", "mask", "reset", "mask and reset"]


def plain(h, alpha, beta, mask=None, reset=None):
    """Both losses, one step and one pair after the other."""
    squares, changes = [], []
    for row in range(len(h)):
        for t in range(h.shape[1]):
            if mask is not None and not mask[row, t]:
                continue
            squares.append(np.mean(h[row, t] ** 2))
            if t == 0 or (mask is not None and not mask[row, t - 1]):
                continue
            if reset is None or not reset[row, t]:
                changes.append(np.mean((h[row, t] - h[row, t - 1]) ** 2))
    return alpha * np.mean(squares or [0]), beta * np.mean(changes or [0])


def inputs(dtype="float64", time=TIME):
    rng = np.random.default_rng(0)
    return rng.normal(size=(ROWS, time, UNITS)).astype(dtype)


def flags_of(name):
    """Padding, a hole, a row without a valid step."""
    mask = np.ones((ROWS, TIME), bool)
    mask[0, 3:] = mask[1, 1] = mask[2] = False
    reset = np.zeros((ROWS, TIME), bool)
    reset[0, 0] = reset[0, 2] = reset[1, 3] = True
    return {k: f for k, f in {"mask": mask, "reset": reset}.items() if k in name}


def losses_of(h, alpha, beta, dtype="float64", **flags):
    layer = ActivationRegularization(alpha, beta, dtype=dtype)
    outputs = layer(h, training=True, **flags)
    np.testing.assert_array_equal(outputs, h)
    return layer.losses


@pytest.mark.parametrize("flags", FLAGS)
@pytest.mark.parametrize("time", [1, TIME])
def test_losses_equal_plain_loops(flags, time):
    flags = {key: flag[:, :time] for key, flag in flags_of(flags).items()}
    h = inputs(time=time)
    expected = plain(h, 2.0, 0.5, **flags)
    assert expected[1] > 0 or time == 1
    np.testing.assert_allclose(losses_of(h, 2.0, 0.5, **flags), expected, rtol=1e-12)


@pytest.mark.parametrize("flags", FLAGS)
def test_gradients_equal_finite_differences(flags):
    flags = flags_of(flags)
    h = tf.constant(inputs())
    with tf.GradientTape() as tape:
        tape.watch(h)
        total = tf.add_n(losses_of(h, 2.0, 0.5, **flags))
    (expected,) = finite_differences(
        lambda h: sum(plain(h, 2.0, 0.5, **flags)), [inputs()]
    )
    # Central differences are good to about 1e-9.
    np.testing.assert_allclose(tape.gradient(total, h), expected, atol=1e-8)


def test_more_than_three_axes_are_averaged_over():
    h = np.random.default_rng(0).normal(size=(ROWS, TIME, 2, 3))
    expected = plain(h, 1.0, 1.0, **flags_of("mask"))
    received = losses_of(h, 1.0, 1.0, **flags_of("mask"))
    np.testing.assert_allclose(received, expected, rtol=1e-12)


def test_nan_in_a_masked_step_does_not_spread():
    mask = flags_of("mask")["mask"]
    h = tf.constant(np.where(mask[..., None], inputs(), np.nan))
    with tf.GradientTape() as tape:
        tape.watch(h)
        losses = losses_of(h, 2.0, 0.5, mask=mask)
    np.testing.assert_allclose(losses, plain(inputs(), 2.0, 0.5, mask), rtol=1e-12)
    assert np.isfinite(tape.gradient(losses, h)).all()


def test_nothing_valid_costs_nothing():
    losses = losses_of(inputs(), 2.0, 0.5, mask=np.zeros((ROWS, TIME), bool))
    assert [float(loss) for loss in losses] == [0.0, 0.0]


def test_inference_and_zero_weights_add_no_loss():
    layer = ActivationRegularization(1.0, 1.0)
    layer(inputs("float32"))
    assert layer.losses == []
    assert losses_of(inputs("float32"), 0.0, 0.0, "float32") == []
    assert len(losses_of(inputs("float32"), 0.0, 1.0, "float32")) == 1


def test_half_precision_does_not_overflow():
    h = np.full((ROWS, TIME, UNITS), 1000, "float16")
    layer = ActivationRegularization(1.0, dtype="mixed_float16")
    assert layer(h, training=True).dtype == "float16"
    assert float(layer.losses[0]) == 1e6


@pytest.mark.parametrize("jit", [False, True])
def test_unknown_sizes_make_no_difference(jit):
    layer = ActivationRegularization(2.0, 0.5, dtype="float64")
    layer.build((None, None, UNITS))
    flag = tf.TensorSpec((None, None), tf.bool)

    @tf.function(
        input_signature=[tf.TensorSpec((None, None, UNITS), tf.float64), flag, flag],
        jit_compile=jit,
    )
    def losses(h, mask, reset):
        layer(h, training=True, mask=mask, reset=reset)
        return layer.losses

    flags = flags_of("mask and reset")
    for time in (TIME, 1):
        h, at = inputs(time=time), {k: f[:, :time] for k, f in flags.items()}
        np.testing.assert_allclose(losses(h, **at), plain(h, 2, 0.5, **at), rtol=1e-12)


def model_of(alpha, beta, **options):
    keras.utils.set_random_seed(3)
    return keras.Sequential(
        [
            keras.Input((None, 3)),
            bk.layers.LSTM(4, return_sequences=True, **options),
            ActivationRegularization(alpha, beta),
            keras.layers.Dense(2),
        ]
    )


@pytest.mark.parametrize("jit", [False, True])
def test_a_plain_keras_model_trains_on_it(jit):
    x, y = series(3, 6)
    model = model_of(2.0, 0.5)
    h = model.layers[0](x).numpy()
    mse = np.mean((model(x) - y) ** 2)
    model.compile("sgd", "mse", jit_compile=jit)
    received = model.train_on_batch(x, y)
    np.testing.assert_allclose(received, mse + sum(plain(h, 2.0, 0.5)), rtol=1e-5)
    evaluated = model.evaluate(x, y, verbose=0)
    np.testing.assert_allclose(evaluated, np.mean((model(x) - y) ** 2), rtol=1e-5)


def test_the_mask_that_the_inputs_carry_counts():
    ids = np.array([[1, 2, 0, 0], [3, 1, 2, 0]])
    embedding = keras.layers.Embedding(4, 3, mask_zero=True)
    layer = ActivationRegularization(2.0, 0.5)
    outputs = layer(embedding(ids), training=True)
    expected = plain(embedding(ids).numpy(), 2.0, 0.5, mask=ids != 0)
    np.testing.assert_allclose(layer.losses, expected, rtol=1e-5)
    np.testing.assert_array_equal(outputs._keras_mask, ids != 0)


def trained(alpha, beta, x, y, *, window, jit=False, rate=0.5):
    model = model_of(alpha, beta)
    trainer = bk.TruncatedBPTT(model, window=window)
    trainer.compile(keras.optimizers.SGD(rate), "mse", jit_compile=jit)
    history = trainer.fit(x, y, batch_size=len(y), shuffle=False, verbose=0)
    return model, history.history["loss"][0]


@pytest.mark.parametrize("jit", [True, False])
@pytest.mark.quick(1)
def test_windows_report_the_mean_of_their_own_losses(jit):
    """Weights stand still: the states are those of one call."""
    x, y = series(3, 12)
    model, received = trained(2.0, 0.5, x, y, window=4, jit=jit, rate=0.0)
    h = model.layers[0](x).numpy()
    own = [sum(plain(h[:, t : t + 4], 2.0, 0.5)) for t in (0, 4, 8)]
    expected = np.mean((model(x) - y) ** 2) + np.mean(own)
    np.testing.assert_allclose(received, expected, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("jit", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_one_window_learns_what_keras_learns(jit):
    x, y = series(3, 6)
    model, _ = trained(2.0, 0.5, x, y, window=6, jit=jit)
    plain_keras = model_of(2.0, 0.5)
    plain_keras.compile(keras.optimizers.SGD(0.5), "mse", jit_compile=False)
    plain_keras.train_on_batch(x, y)
    # XLA sums in another order.
    assert_same_weights(model, plain_keras, atol=3e-6)
    without, _ = trained(0.0, 0.0, x, y, window=6, jit=jit)
    for own, other in zip(model.get_weights()[:3], without.get_weights(), strict=False):
        assert np.abs(own - other).max() > 1e-4


def test_steps_beyond_the_lengths_and_pairs_across_resets_do_not_count():
    x, y = series(3, 6)
    mask = np.arange(6) < np.array([[6], [3], [1]])
    reset = np.zeros((3, 6), bool)
    reset[0, 2] = reset[1, 1] = True
    data = {"inputs": x, "mask": mask, "reset": reset}
    model, received = trained(2.0, 0.5, data, y, window=6, rate=0.0)
    h = model.layers[0](x, reset=reset)
    error = np.mean((model.layers[2](h) - y) ** 2, axis=-1)[mask].mean()
    expected = error + sum(plain(h.numpy(), 2.0, 0.5, mask, reset))
    np.testing.assert_allclose(received, expected, rtol=1e-5)


def test_recomputation_is_refused():
    x, y = series(3, 6)
    trainer = bk.TruncatedBPTT(model_of(1.0, 0.0), window=6, recompute="sqrt")
    trainer.compile("sgd", "mse")
    with pytest.raises(ValueError, match="adds a loss of its own"):
        trainer.fit(x, y, verbose=0)


def test_configuration_round_trip(tmp_path):
    model = model_of(2.0, 0.5)
    model.save(tmp_path / "model.keras")
    layer = keras.models.load_model(tmp_path / "model.keras").layers[1]
    assert type(layer) is ActivationRegularization
    assert layer.get_config() == model.layers[1].get_config()
    assert (layer.alpha, layer.beta) == (2.0, 0.5)


@pytest.mark.parametrize("weight", [-1.0, float("inf"), float("nan"), "1", None, True])
@pytest.mark.parametrize("name", ["alpha", "beta"])
def test_weights_of_the_losses_must_be_nonnegative_numbers(name, weight):
    with pytest.raises(ValueError, match=f"`{name}` must be"):
        ActivationRegularization(**{name: weight})


def test_inputs_without_time_are_refused():
    with pytest.raises(ValueError, match="must have a time axis"):
        ActivationRegularization(1.0)(np.zeros((3, 4)))


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        ({"mask": np.ones(ROWS, bool)}, ValueError),
        ({"reset": np.ones(ROWS, bool)}, ValueError),
        ({"reset": np.ones((ROWS, TIME), int)}, TypeError),
    ],
)
def test_wrong_flags_are_refused(flags, error):
    with pytest.raises(error, match=next(iter(flags))):
        losses_of(inputs(), 1.0, 1.0, **flags)
