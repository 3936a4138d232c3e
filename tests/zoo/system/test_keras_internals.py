"""Each private part of Keras that the zoo relies on is still there."""

import keras

from zoo.system.keras_internals import all_layers, is_seed, set_untracked


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


def test_what_is_set_untracked_is_no_part_of_the_layer():
    layer, other = keras.layers.Dense(1), keras.layers.Dense(2)
    other.build((None, 3))
    set_untracked(layer, "other", other)
    assert layer.other is other
    assert all_layers(layer) == [layer] and not layer.weights, (
        "Keras now tracks what is put into a layer's instance dictionary"
    )
