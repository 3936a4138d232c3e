"""`activity` on units and gates that are made dead and saturated."""

import keras
import numpy as np
import pytest

import bptt_keras as bk
from bptt_keras.diagnostics import Activity, LayerActivity, activity
from bptt_keras.diagnostics.watching import findings
from tests.diagnostics.test_gradient_flow import data, linear
from tests.diagnostics.watching.test_findings import kinds


def of(layer):
    return keras.Sequential([keras.layers.Input((None, 2)), layer])


@pytest.mark.parametrize("library", [keras.layers, bk.layers])
def test_gates_of_an_lstm_are_those_of_its_biases(library):
    model = of(library.LSTM(4, return_sequences=True, name="memory"))
    kernel, recurrent, _ = model.get_weights()
    bias = np.zeros(16)
    bias[0:2] = -9  # i of two units
    bias[4:7] = 9  # f of three units
    bias[15] = -9  # o of the last one
    model.set_weights([0.1 * kernel, 0.1 * recurrent, bias])
    seen = activity(model, data()).layers["memory"]
    counts = {
        gate: sides.sum(axis=0).tolist() for gate, sides in seen.saturated.items()
    }
    assert counts == {"i": [2, 0, 2], "f": [0, 3, 3], "o": [1, 0, 1]}
    assert seen.saturated["i"][:, 0].tolist() == [True, True, False, False]


@pytest.mark.parametrize("reset_after", [True, False])
def test_gates_of_a_gru_are_those_of_its_biases(reset_after):
    layer = bk.layers.GRU(
        3, return_sequences=True, reset_after=reset_after, name="memory"
    )
    model = of(layer)
    kernel, recurrent, bias = model.get_weights()
    bias = np.zeros_like(bias)
    # With `reset_after` half of it stands in either bias.
    bias[..., 0] = 4.5 if reset_after else 9
    bias[..., 5] = -4.5 if reset_after else -9
    model.set_weights([0.1 * kernel, 0.1 * recurrent, bias])
    seen = activity(model, data()).layers["memory"]
    counts = {
        gate: sides.sum(axis=0).tolist() for gate, sides in seen.saturated.items()
    }
    assert counts == {"z": [0, 1, 1], "r": [1, 0, 1]}


def test_gates_are_those_that_the_layer_computes():
    """The state of the next step follows from the gates that were read."""
    keras.utils.set_random_seed(1)
    model = of(bk.layers.SimpleRNN(3, return_sequences=True, name="memory"))
    kernel, recurrent, bias = model.get_weights()
    model.set_weights([50 * kernel, recurrent, bias])
    x, y = data()
    seen = activity(model, (x, y)).layers["memory"]
    h = model.predict(x, verbose=0)
    ends = np.stack([h < -0.9, h > 0.9, np.abs(h) > 0.9], -1)
    expected = ends.mean(axis=(0, 1)) >= 0.95
    assert expected[:, 2].any()
    np.testing.assert_array_equal(seen.saturated["tanh"], expected)


def test_units_that_never_change_are_dead():
    layer = bk.layers.SimpleRNN(
        4, activation="relu", return_sequences=True, name="memory"
    )
    model = of(layer)
    kernel, recurrent, bias = model.get_weights()
    bias[1:3] = -1000
    model.set_weights([kernel, np.zeros_like(recurrent), bias])
    seen = activity(model, data())
    assert seen.layers["memory"].dead.tolist() == [False, True, True, False]
    assert seen.layers["memory"].saturated == {}
    assert seen.dead == 0.5
    assert seen.verdict() == "2 of 4 states of layer memory never change."


def test_layers_without_known_gates_have_states():
    model = keras.Sequential(
        [
            keras.layers.Input((None, 2)),
            bk.layers.MinGRU(3, return_sequences=True, name="lower"),
            bk.layers.LSTM(2, activation="relu", return_sequences=True, name="upper"),
            bk.layers.LRU(3, return_sequences=True, name="top"),
        ]
    )
    seen = activity(model, data())
    assert list(seen.layers) == ["lower", "upper", "top"]
    assert seen.layers["lower"].saturated == seen.layers["top"].saturated == {}
    assert len(seen.layers["upper"].dead) == 4  # h and c


def test_a_gate_that_jumps_from_end_to_end_is_saturated():
    model = of(bk.layers.LSTM(4, return_sequences=True, name="memory"))
    kernel, recurrent, bias = model.get_weights()
    model.set_weights([1000 * np.sign(kernel), 0 * recurrent, 0 * bias])
    seen = activity(model, data())
    assert seen.saturated[("memory", "i")] > 0.5
    assert not seen.layers["memory"].saturated["i"][:, :2].any()


def test_states_that_are_not_finite_are_reported():
    x, y = data()
    seen = activity(linear(0.5), (x * np.nan, y))
    assert seen.verdict() == "States of layer memory are not finite."
    assert kinds(findings.of_activity(seen)) == ["not finite"]


def test_only_the_given_number_of_timesteps_is_examined():
    x, y = data()
    x[:, 10:] = 1e3
    model = linear(0.5)
    model.set_weights([1e-6 * w for w in model.get_weights()])
    # The first ten change the state by less than anyone sees.
    assert activity(model, (x, y), steps=10).dead == 1
    assert activity(model, (x, y)).dead == 0


def test_more_timesteps_than_available_means_all():
    assert activity(linear(0.5), data(steps=5), steps=100).dead == 0


def test_half_precision_is_supported():
    with_policy = bk.layers.LSTM(
        2, return_sequences=True, dtype="mixed_bfloat16", name="memory"
    )
    seen = activity(of(with_policy), data())
    assert set(seen.layers["memory"].saturated) == {"i", "f", "o"}


def test_the_verdict_says_it_in_words():
    layer = LayerActivity(
        np.zeros(2, bool), {"f": np.array([[False, True, True], [False] * 3])}
    )
    words = (
        "In layer memory, f is saturated in 1 of 2 units: 0 nearly always shut, 1 "
        "nearly always open."
    )
    seen = Activity({"memory": layer})
    assert str(seen) == words
    assert seen.saturated == {("memory", "f"): 0.5}
    assert Activity({}).verdict() == "All states change, and no gate is saturated."


def test_one_timestep_is_refused():
    with pytest.raises(ValueError, match="at least 2"):
        activity(linear(0.5), data(), steps=1)
