"""Which inputs have a time axis."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.state import discover, timed_inputs
from tests.test_state import subclassed


def functional(*shapes, names=("b", "a"), structure=list):
    inputs = [keras.Input(s, name=n) for s, n in zip(shapes, names, strict=False)]
    # Keras 3.12 refuses inputs that no layer takes.
    outputs = [keras.layers.Identity()(t) for t in inputs]
    if structure is dict:
        return keras.Model({t.name: t for t in inputs}, outputs)
    return keras.Model(inputs, outputs)


def specs(*shapes):
    return [tf.TensorSpec((None, *shape)) for shape in shapes]


def test_an_open_axis_marks_time_and_a_fixed_one_beside_it_does_not():
    model = functional((None, 3), (8,))
    assert timed_inputs(model, specs((10, 3), (8,))) == [True, False]


def test_several_open_axes_are_all_time():
    model = functional((None, 3), (None,))
    assert timed_inputs(model, specs((10, 3), (10,))) == [True, True]


def test_where_all_axes_are_fixed_all_are_time():
    model = functional((5, 3), (5, 1))
    assert timed_inputs(model, specs((5, 3), (5, 1))) == [True, True]


def test_a_fixed_image_beside_a_sequence_has_no_time_axis():
    model = functional((None, 3), (4, 4, 1))
    assert timed_inputs(model, specs((10, 3), (4, 4, 1))) == [True, False]


def test_one_value_a_row_has_no_time_axis():
    assert timed_inputs(functional((5, 3), ()), specs((5, 3), ())) == [True, False]


@pytest.mark.parametrize("structure", [list, dict])
def test_dict_inputs_are_found_by_name(structure):
    model = functional((None, 3), (8,), structure=structure)
    sequence, static = specs((10, 3), (8,))
    received = timed_inputs(model, {"b": sequence, "a": static})
    assert received == {"b": True, "a": False}


def test_nested_inputs_keep_their_structure():
    sequence, static = keras.Input((None, 3), name="s"), keras.Input((8,), name="k")
    inputs = {"x": [sequence, {"k": static}]}
    outputs = [keras.layers.Identity()(t) for t in (sequence, static)]
    model = keras.Model(inputs, outputs)
    sequence, static = specs((10, 3), (8,))
    received = timed_inputs(model, {"x": [sequence, {"k": static}]})
    assert received == {"x": [True, {"k": False}]}


def test_every_input_of_a_subclassed_model_is_time():
    assert timed_inputs(subclassed(), tf.TensorSpec((None, 10, 3))) is True


def test_a_model_without_any_is_refused():
    model = functional((3,), ())
    with pytest.raises(ValueError, match=r"needs an input with a time axis.*\(None,\)"):
        timed_inputs(model, specs((), ()))


def test_a_dry_run_keeps_the_size_of_an_input_without_time():
    sequence, static = keras.Input((None, 3)), keras.Input((8,))
    added = keras.layers.Reshape((1, 4))(keras.layers.Dense(4)(static))
    hidden = keras.layers.GRU(4, return_sequences=True)(sequence)
    model = keras.Model([sequence, static], keras.layers.Add()([hidden, added]))
    traits = discover(bk.PureStep(model), specs((10, 3), (8,)))
    assert traits.sequence_output is True
    outputs, _ = bk.PureStep(model)([np.zeros((2, 4, 3)), np.zeros((2, 8))])
    assert outputs.shape == (2, 4, 4)
