"""`valid` says which timesteps have an input, with or without masks in the model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from tests.test_state import MODELS, data_for, few, sequential

CARRIED = [name for name in MODELS if "no state" not in name]
SEQUENCES = [name for name in CARRIED if "last" not in name and "zeros" not in name]
LENGTH, END = 11, 6


def valid_flags(rows=3, steps=LENGTH):
    """Row 0 ends early, row 1 has a hole at the start, row 2 is whole."""
    flags = np.ones((rows, steps), bool)
    flags[0, END:] = False
    flags[1, :2] = False
    return flags


def assert_same(received, expected):
    pairs = zip(tf.nest.flatten(received), tf.nest.flatten(expected), strict=True)
    for a, b in pairs:
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("name", few(CARRIED))
def test_a_row_that_ends_early_has_the_state_of_its_end(name):
    model = MODELS[name]()
    step, x = bk.PureStep(model), data_for(model)
    _, state = step(x, valid=valid_flags())
    _, at_end = step(x[:, :END])
    _, whole = step(x)
    for layer, values in state.items():
        for key, value in values.items():
            if "zeros" in name and key == "output":
                continue
            np.testing.assert_allclose(value[0], at_end[layer][key][0], atol=1e-6)
            np.testing.assert_allclose(value[2], whole[layer][key][2], atol=1e-6)


@pytest.mark.parametrize("name", few(SEQUENCES))
def test_an_invalid_step_repeats_the_previous_output(name):
    model = MODELS[name]()
    step, x = bk.PureStep(model), data_for(model)
    outputs = step(x, valid=valid_flags())[0].numpy()
    last = outputs[0, END - 1]
    np.testing.assert_array_equal(outputs[0, END:], np.stack([last] * (LENGTH - END)))


@pytest.mark.parametrize("name", few(CARRIED))
def test_cutting_time_changes_nothing_where_steps_are_invalid(name):
    model = MODELS[name]()
    step, x, valid = bk.PureStep(model), data_for(model), valid_flags()
    whole, last = step(x, valid=valid)
    state, pieces = None, []
    for window in (slice(0, 1), slice(1, 8), slice(8, LENGTH)):
        piece, state = step(x[:, window], state, valid=valid[:, window])
        pieces.append(piece)
    joined = pieces[-1] if "last" in name else np.concatenate(pieces, 1)
    assert_same([joined, state], [whole, last])


# One of each way that a layer is run.
@pytest.mark.parametrize(
    "name", ["GRU", "fused LSTM", "own cell", "masked", "masked last output"]
)
def test_xla_equals_eager_with_valid_and_reset(name):
    model = MODELS[name]()
    step, x, valid = bk.PureStep(model), data_for(model), valid_flags()
    reset = np.zeros(x.shape[:2], bool)
    reset[0, 3] = reset[1, 1] = reset[0, 8] = True
    _, state = step(x[:, :4])
    compiled = tf.function(
        lambda x, state, reset, valid: step(x, state, reset=reset, valid=valid),
        jit_compile=True,
    )
    assert_same(
        compiled(x, state, reset, valid), step(x, state, reset=reset, valid=valid)
    )


def test_valid_and_the_models_own_mask_both_count():
    model = sequential(
        keras.layers.Masking(0.0), keras.layers.GRU(4, return_sequences=True)
    )
    step, x = bk.PureStep(model), data_for(model)
    valid = valid_flags()
    spoiled = np.where(valid[..., None], x, 0).astype("float32")
    assert_same(step(x, valid=valid), step(spoiled))


@pytest.mark.parametrize("layer", [keras.layers.GRU, bk.layers.GRU])
def test_the_masks_of_the_outputs_stay_as_they_are(layer):
    for first in ([], [keras.layers.Masking(0.0)]):
        model = sequential(*first, layer(4, return_sequences=True))
        x = data_for(model)
        outputs, _ = bk.PureStep(model)(x, valid=valid_flags())
        mask = getattr(outputs, "_keras_mask", None)
        if first:
            np.testing.assert_array_equal(mask, (x != 0).any(-1))
        else:
            assert mask is None


def test_valid_of_another_length_names_the_layer():
    class Halves(keras.layers.Layer):
        def call(self, inputs):
            return inputs[:, ::2]

    model = sequential(Halves(), keras.layers.GRU(2, name="slow"))
    with pytest.raises(ValueError, match="'slow' has 6 timesteps, `valid` has 11"):
        bk.PureStep(model)(data_for(model), valid=valid_flags())


def test_valid_of_another_rank_is_refused():
    model = sequential(keras.layers.GRU(2))
    with pytest.raises(
        ValueError, match=r"`valid` must have the shape \(batch, time\)"
    ):
        bk.PureStep(model)(data_for(model), valid=np.ones(3, bool))
