"""Layers that read whole series: exact across cuts, blind to padding, in a preset."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from zoo.layers import Beside, CausalConvolution, MeanAndMax
from zoo.models.config import from_config, to_config

X = np.random.default_rng(0).normal(size=(3, 10, 2)).astype("float32")
LENGTHS = np.array([10, 7, 1])
MASK = np.arange(10) < LENGTHS[:, None]
KINDS = {
    "convolution": lambda: CausalConvolution(4, 3),
    "one timestep": lambda: CausalConvolution(4, 1),
    "pooling": MeanAndMax,
    "beside": lambda: Beside(4, "gru"),
}


def model_with(*layers):
    model = keras.Sequential([keras.Input((None, 2)), *layers])
    return model


def test_a_convolution_is_the_sum_of_the_timesteps_before():
    layer = CausalConvolution(4, 3)
    outputs = layer(X)
    layer.bias.assign([1.0, 2.0, 3.0, 4.0])
    kernel = layer.kernel.numpy().reshape(3, 2, 4)
    expected = np.zeros((3, 10, 4))
    for t in range(10):
        for k in range(min(3, t + 1)):
            expected[:, t] += X[:, t - k] @ kernel[2 - k]
    np.testing.assert_allclose(outputs, expected, atol=1e-5)
    np.testing.assert_allclose(layer(X), expected + [1, 2, 3, 4], atol=1e-5)


def test_pooling_gives_mean_and_largest_value():
    expected = np.concatenate([X.mean(axis=1), X.max(axis=1)], axis=1)
    np.testing.assert_allclose(MeanAndMax()(X), expected, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_cuts_change_nothing(kind):
    model = model_with(KINDS[kind]())
    step = bk.PureStep(model)
    first, state = step(X[:, :6])
    second, _ = step(X[:, 6:], state)
    whole = model(X)
    if len(whole.shape) == 3:
        np.testing.assert_allclose(whole[:, :6], first, atol=1e-6)
        whole = whole[:, 6:]
    np.testing.assert_allclose(whole, second, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_padding_changes_nothing(kind):
    model = model_with(KINDS[kind]())
    step = bk.PureStep(model)
    rubbish = np.where(MASK[..., None], X, 7).astype("float32")
    outputs, state = step(rubbish, valid=MASK)
    for row, length in enumerate(LENGTHS):
        alone, its_state = step(X[row : row + 1, :length])
        last = outputs[row] if len(outputs.shape) == 2 else outputs[row, length - 1]
        expected = alone[0] if len(alone.shape) == 2 else alone[0, -1]
        np.testing.assert_allclose(last, expected, atol=1e-6)
        for name, values in its_state.items():
            for key, value in values.items():
                np.testing.assert_allclose(
                    state[name][key][row], value[0], atol=1e-6, err_msg=key
                )
        if len(outputs.shape) == 3 and kind != "beside":
            # Padding repeats the output before it.
            np.testing.assert_array_equal(outputs[row, -1], last)


@pytest.mark.parametrize("kind", KINDS)
def test_the_number_of_timesteps_may_be_unknown(kind):
    model = model_with(KINDS[kind]())
    step = bk.PureStep(model)
    unknown = tf.TensorSpec((3, None, 2))
    outputs, _ = tf.function(step, input_signature=[unknown])(X)
    np.testing.assert_allclose(outputs, model(X), atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_a_reset_row_equals_a_fresh_start(kind):
    model = model_with(KINDS[kind]())
    step = bk.PureStep(model)
    _, state = step(X)
    reset = np.zeros((3, 10), bool)
    reset[1, 4] = reset[2, 0] = reset[2, 9] = True
    outputs, after = step(X, state, reset=reset)
    fresh, its_state = step(X[1:2, 4:])
    expected = fresh[0] if len(fresh.shape) == 2 else fresh[0, -1]
    last = outputs[1] if len(outputs.shape) == 2 else outputs[1, -1]
    np.testing.assert_allclose(last, expected, atol=1e-6)
    for name, values in its_state.items():
        for key, value in values.items():
            np.testing.assert_allclose(after[name][key][1], value[0], atol=1e-6)


def test_a_preset_holds_them():
    model = model_with(
        CausalConvolution(4, 3),
        keras.layers.BatchNormalization(momentum=0.9),
        keras.layers.Activation("relu"),
        Beside(3, "gru"),
        MeanAndMax(),
        keras.layers.Dense(2),
    )
    again = from_config(json.loads(json.dumps(to_config(model))))
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(X), model(X))
    assert to_config(again) == to_config(model)


@pytest.mark.parametrize(
    "rows",
    [
        [("zoo>CausalConvolution", {"filters": 10**5, "kernel_size": 10**5})],
        [
            ("zoo>CausalConvolution", {"filters": 20_000, "kernel_size": 1}),
            ("zoo>MeanAndMax", {}),
            ("Dense", {"units": 3_000}),
        ],
        [("zoo>Beside", {"units": 10**5})],
    ],
)
def test_their_weights_are_counted_before_memory_is_taken(rows):
    rows = [{"class_name": name, "config": config} for name, config in rows]
    config = {"class_name": "Sequential", "layers": rows, "features": 2}
    with pytest.raises(ValueError, match="more than 100,000,000 weights"):
        from_config(config)


@pytest.mark.parametrize("sizes", [(0, 3), (4, 0)])
def test_a_convolution_without_a_size_is_refused(sizes):
    with pytest.raises(ValueError, match="must be at least 1"):
        CausalConvolution(*sizes)
