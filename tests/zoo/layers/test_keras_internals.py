"""Each private feature of Keras that the zoo relies on still exists."""

import keras
import pytest

from zoo.layers.keras_internals import (
    all_layers,
    initializers_of,
    is_seed,
    set_untracked,
)


def test_all_layers_are_found_within_cells():
    cell = keras.layers.LSTMCell(2)
    layer = keras.layers.RNN(cell)
    assert all_layers(layer) == [layer, cell], (
        "Keras no longer lists all layers in `_flatten_layers`"
    )


def test_the_state_of_a_seed_is_known_by_its_path():
    layer = keras.layers.Dropout(0.5)
    average = keras.layers.BatchNormalization()
    average.build((None, 2))
    told = [is_seed(v) for v in [layer.seed_generator.state, *average.variables]]
    assert told == [True, False, False, False, False], (
        "Keras no longer names the state of a SeedGenerator 'seed_generator_state'"
    )


def test_an_untracked_attribute_is_not_part_of_the_layer():
    layer, other = keras.layers.Dense(1), keras.layers.Dense(2)
    other.build((None, 3))
    set_untracked(layer, "other", other)
    assert layer.other is other
    assert all_layers(layer) == [layer] and not layer.weights, (
        "Keras now tracks what is put into a layer's instance dictionary"
    )


@pytest.mark.parametrize("name", ["Dense", "Embedding", "GRU", "BatchNormalization"])
def test_weights_are_made_by_the_initialisers_that_are_found(name):
    arguments = {"Embedding": (3, 2), "BatchNormalization": ()}.get(name, (2,))
    model = keras.Sequential([getattr(keras.layers, name)(*arguments)])
    for part in all_layers(model):
        for attribute in initializers_of(part):
            setattr(part, attribute, keras.initializers.Constant(7.0))
    model.build((None, None) if name == "Embedding" else (None, None, 2))
    assert all((w.numpy() == 7.0).all() for w in model.weights if not is_seed(w)), (
        "Keras' layers no longer keep their initialisers as `..._initializer`"
    )
