"""`truncation_bias` against a manual loop, the trainer, and influence balancing."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.diagnostics import TruncationBias, truncation_bias
from tests.diagnostics.test_gradient_flow import data, linear
from tests.training.influence import trainer_of


def one_unit(factor=0.9, return_sequences=True):
    """h_t = factor h_{t-1} + x_t, put out as it is."""
    layer = bk.layers.SimpleRNN(
        1,
        activation="linear",
        use_bias=False,
        kernel_initializer="ones",
        recurrent_initializer=keras.initializers.Constant(factor),
        return_sequences=return_sequences,
    )
    return keras.Sequential([keras.layers.Input((None, 1)), layer])


def series(rows=3, steps=30):
    rng = np.random.default_rng(5)
    x = rng.normal(size=(rows, steps, 1)).astype("float32")
    return x, rng.normal(size=(rows, steps, 1)).astype("float32")


def gradient_by_hand(x, y, window, factor=0.9, last_only=False):
    """Gradient of the mean squared error by (kernel, factor), cut every `window`."""
    rows, steps, _ = x.shape
    total = np.zeros(2)
    for row in range(rows):
        h, by_kernel, by_factor = 0.0, 0.0, 0.0
        for t in range(steps):
            if last_only and t < steps - window:
                h = factor * h + x[row, t, 0]
                continue
            if not last_only and t % window == 0:
                by_kernel = by_factor = 0.0
            by_factor = h + factor * by_factor
            by_kernel = x[row, t, 0] + factor * by_kernel
            h = factor * h + x[row, t, 0]
            target = y[row, 0] if last_only else y[row, t, 0]
            if not last_only or t == steps - 1:
                slope = 2 * (h - target) / (rows * (1 if last_only else steps))
                total += slope * np.array([by_kernel, by_factor])
    return total


def compared(one, full):
    norms = np.linalg.norm(one), np.linalg.norm(full)
    return one @ full / (norms[0] * norms[1]), norms[0] / norms[1]


# 7 and 13 do not divide 30.
@pytest.mark.parametrize("window", [1, 5, 7, 13, 29])
@pytest.mark.quick(2)
def test_it_equals_a_loop_by_hand(window):
    x, y = series()
    bias = truncation_bias(one_unit(), (x, y), [window], loss="mse", cost=False)
    full = gradient_by_hand(x, y, 30)
    cosine, ratio = compared(gradient_by_hand(x, y, window), full)
    np.testing.assert_allclose(bias.cosine, [cosine, 1], rtol=1e-4)
    np.testing.assert_allclose(bias.norm_ratio, [ratio, 1], rtol=1e-4)
    difference = gradient_by_hand(x, y, window) - full
    expected = np.linalg.norm(difference) / np.linalg.norm(full)
    np.testing.assert_allclose(bias.bias[0], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("window", [3, 29])
def test_a_loss_at_the_end_goes_back_through_the_last_timesteps(window):
    x, y = series()
    model, y = one_unit(return_sequences=False), y[:, 0]
    bias = truncation_bias(model, (x, y), [window], loss="mse", cost=False)
    parts = [gradient_by_hand(x, y, w, last_only=True) for w in (window, 30)]
    np.testing.assert_allclose(
        [bias.cosine[0], bias.norm_ratio[0]], compared(*parts), rtol=1e-4
    )


@pytest.mark.slow
def test_it_is_the_gradient_that_a_trainer_applies():
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.layers.Input((None, 2)),
            bk.layers.LSTM(4, return_sequences=True, learn_initial_state=True),
            keras.layers.Dense(1),
        ]
    )
    x, y = data()
    bias = truncation_bias(model, (x, y), [7], loss="mse", cost=False)
    before, moved = model.get_weights(), []
    for window in (7, None):
        trainer = bk.TruncatedBPTT(model, window=window, update="sequence", shards=1)
        trainer.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=False)
        trainer.train_on_batch(x, y)
        after = model.get_weights()
        moved.append(
            np.concatenate(
                [(b - a).ravel() for b, a in zip(before, after, strict=True)]
            )
        )
        model.set_weights(before)
    np.testing.assert_allclose(
        [bias.cosine[0], bias.norm_ratio[0]], compared(*moved), rtol=1e-4
    )


def test_short_windows_of_influence_balancing_point_the_wrong_way():
    trainer = trainer_of(10, 1e-3)
    x = np.zeros((1, 400, 1), "float32")
    bias = truncation_bias(trainer, (x, np.ones_like(x)), [10, 50, 200], cost=False)
    assert bias.wrong_way == [10, 50]
    assert "Windows up to 50 point the wrong way" in bias.verdict()
    assert "raises the loss" in bias.verdict()


def test_time_and_memory_are_measured_too():
    bias = truncation_bias(linear(0.9, units=64), data(64, 800), [50], loss="mse")
    # 800 timesteps are longer than `longest`.
    assert bias.windows.tolist() == [50, 400]
    assert (bias.seconds > 0).all()
    # The states alone: 64 rows of 64 floats, 16 KiB a timestep.
    assert bias.memory[1] - bias.memory[0] > 350 * 16 / 1024
    assert "times its memory" in bias.verdict()


def test_each_variable_has_its_cosines():
    model = linear(0.9)
    bias = truncation_bias(model, data(), [5], loss="mse", cost=False)
    assert list(bias.variables) == [v.path for v in model.trainable_variables]
    # The readout's own gradient is the same, however the state was cut.
    readout = model.layers[-1].kernel.path
    np.testing.assert_allclose(bias.variables[readout], 1, rtol=1e-5)


def test_default_windows_are_repeated_halves_of_the_data():
    bias = truncation_bias(linear(0.9), data(), loss="mse", cost=False)
    assert bias.windows.tolist() == [1, 2, 5, 10, 20, 40]


def test_dropout_is_off_and_nothing_changes():
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((None, 2)),
            bk.layers.GRU(3, return_sequences=True),
            keras.layers.Dropout(0.5),
            keras.layers.BatchNormalization(),
            keras.layers.Dense(1),
        ]
    )
    before = [v.numpy() for v in model.variables]
    found = [
        truncation_bias(model, data(), [5], loss="mse", cost=False) for _ in range(2)
    ]
    np.testing.assert_array_equal(found[0].cosine, found[1].cosine)
    for a, b in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(a, b.numpy())


@pytest.mark.slow
def test_a_model_that_xla_refuses_is_still_measured():
    def on_the_host(x):
        return tf.ensure_shape(tf.numpy_function(lambda a: a, [x], tf.float32), x.shape)

    inputs = keras.layers.Input((None, 2))
    hidden = bk.layers.GRU(3, return_sequences=True)(inputs)
    seen = keras.layers.Lambda(on_the_host, output_shape=lambda s: s)(inputs)
    outputs = keras.layers.Dense(1)(keras.layers.Concatenate()([hidden, seen]))
    model = keras.Model(inputs, outputs)
    bias = truncation_bias(model, data(), [5], loss="mse", cost=True)
    np.testing.assert_allclose(bias.cosine[-1], 1, rtol=1e-5)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"windows": [40]}, ValueError, "shorter than the data, 40 timesteps"),
        ({"windows": []}, ValueError, "shorter than the data"),
        ({"windows": [0]}, ValueError, "at least 1"),
        ({"windows": 40}, ValueError, "shorter than the data, 40 timesteps"),
        ({"windows": [2.5]}, TypeError, "integer"),
        ({"longest": 1}, ValueError, "at least 2"),
        ({"loss": None}, ValueError, "`truncation_bias` needs a loss"),
        ({"data": (data()[0], data()[1][:2])}, ValueError, "like the inputs"),
    ],
    ids=str,
)
def test_what_cannot_be_measured_is_refused(change, error, message):
    arguments = {"data": data(), "windows": [5], "loss": "mse"} | change
    with pytest.raises(error, match=message):
        truncation_bias(linear(0.9), **arguments)


def test_nan_is_reported():
    x, y = data()
    bias = truncation_bias(linear(0.9), (x * np.nan, y), [5], loss="mse", cost=False)
    assert "zero or not finite" in bias.verdict()


@pytest.mark.parametrize(
    ("cosine", "ratio", "words"),
    [
        ([0.9, 0.999, 1], [1, 1, 1], "A window of 20 is off by 4 %"),
        ([0.5, 0.9, 1], [1, 1, 1], "A window of 20 is off by 45 %"),
        ([0.1, 0.2, 1], [1, 1, 1], "No window is near"),
        ([-0.5, 0.2, 1], [1, 1, 1], "Windows up to 10 point the wrong way"),
        ([1, 1, 1], [0.99999, 1, 1], "A window of 10 is off by 0.0 %"),
        ([float("nan")] * 3, [float("nan")] * 3, "nothing to compare"),
    ],
)
def test_the_verdict_says_it_in_words(cosine, ratio, words):
    assert words in TruncationBias([10, 20, 40], cosine, ratio).verdict()


def test_windows_that_point_the_wrong_way_are_named_one_by_one_between_others():
    words = TruncationBias([5, 10, 20, 40], [0.5, -0.5, -0.1, 1], [1] * 4).verdict()
    assert words.startswith("Windows of 10 and 20 timesteps point the wrong way")


def test_a_single_window_is_reported_however_inaccurate_it_is():
    words = TruncationBias([10, 40], [0.1, 1], [1, 1]).verdict()
    assert words == (
        "A window of 10 is off by 134 % from the gradient over 40 timesteps of these "
        "data."
    )


def test_a_window_must_suffice_together_with_all_longer_ones():
    bias = TruncationBias([1, 2, 4, 8], [1, 0.5, 1, 1], [1, 1, 1, 1])
    assert bias.window(0.1) == 4


def test_the_plot_shows_accuracy_and_cost(tmp_path):
    bias = TruncationBias(
        [1, 2, 4], [-0.2, 0.9, 1], [2, 1, 1], seconds=[3, 2, 1], memory=[1, 2, 4]
    )
    figure = bias.plot(tmp_path / "bias.png")
    assert (tmp_path / "bias.png").stat().st_size > 10_000
    worth, cost = figure.axes
    assert worth.get_xlabel() == "window (timesteps; 4: no truncation)"
    assert [len(axes.get_legend().get_texts()) for axes in (worth, cost)] == [3, 2]


def test_lengths_that_differ_are_refused():
    with pytest.raises(ValueError, match="one value for each"):
        TruncationBias([1, 2], [1, 1], [1])
