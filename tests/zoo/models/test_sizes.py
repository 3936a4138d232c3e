import subprocess
import sys

import keras
import pytest

import bptt_keras as bk
from zoo.layers import (
    Beside,
    CausalConvolution,
    Influence,
    MeanAndMax,
    TiedLogits,
    WordEmbedding,
)
from zoo.models.config import from_config, layer_classes, to_config
from zoo.models.kinds import ACTIVATIONS, KINDS
from zoo.models.sizes import sizes_of
from zoo.recipes import recipe
from zoo.system import limits

OPTIONS = {"return_sequences": True}
# At least one of each kind, and what changes the number of its weights.
ON_NUMBERS = [
    keras.layers.Dense(5),
    keras.layers.Dense(5, use_bias=False),
    keras.layers.Dropout(0.5),
    keras.layers.SpatialDropout1D(0.5),
    bk.layers.ActivationRegularization(alpha=1.0),
    *(
        layer(5, **OPTIONS, use_bias=bias)
        for layer in (
            bk.layers.LSTM,
            bk.layers.GRU,
            bk.layers.SimpleRNN,
            bk.layers.LayerNormLSTM,
            bk.layers.IndRNN,
            bk.layers.MinGRU,
        )
        for bias in (True, False)
    ),
    bk.layers.GRU(5, reset_after=False, **OPTIONS),
    bk.layers.WeightDropLSTM(5, 0.4, **OPTIONS),
    bk.layers.LRU(5, **OPTIONS),
    Influence(),
    CausalConvolution(5, kernel_size=4),
    *(Beside(5, layer) for layer in recipe.LAYERS),
    keras.layers.BatchNormalization(),
    keras.layers.Activation("relu"),
    MeanAndMax(),
]


def on_numbers(*layers):
    model = keras.Sequential([keras.Input((None, 3)), *layers])
    model.build((None, None, 3))
    return model


def on_ids(*layers):
    model = keras.Sequential(layers)
    model.build((None, None))
    return model


def test_each_kind_of_layer_has_a_class_and_a_size():
    assert layer_classes().keys() == KINDS.keys()
    embeddings = {keras.layers.Embedding, WordEmbedding, TiedLogits}
    assert {*map(type, ON_NUMBERS), *embeddings} == set(layer_classes().values())


@pytest.mark.parametrize("layer", ON_NUMBERS, ids=lambda layer: layer.name)
def test_weights_are_counted_as_keras_counts_them(layer):
    model = on_numbers(layer, keras.layers.Dense(4, name="answers"))
    sizes = sizes_of(to_config(model))
    assert (sizes.weights, sizes.outputs) == (model.count_params(), 4)
    assert (sizes.features, sizes.ids) == (3, None)


def test_embeddings_are_counted_as_keras_counts_them():
    embedding = WordEmbedding(20, 4)
    tied = on_ids(embedding, keras.layers.Dropout(0.1), TiedLogits(embedding))
    plain = on_ids(keras.layers.Embedding(20, 4), keras.layers.Dense(20))
    for model in (tied, plain):
        sizes = sizes_of(to_config(model))
        assert (sizes.weights, sizes.ids) == (model.count_params(), 20)
        assert (sizes.features, sizes.outputs) == (None, 20)


@pytest.mark.parametrize("ids", [4_900, 5_500, 20_000])
def test_a_language_of_many_characters_is_well_within_the_limit(ids):
    rows = [
        ("Embedding", {"input_dim": ids, "output_dim": 64}),
        ("bptt_keras>LSTM", {"units": 256}),
        ("Dense", {"units": ids}),
    ]
    assert sizes_of(config_of(*rows)).weights < limits.WEIGHTS / 10


def config_of(*rows, **more):
    layers = [{"class_name": name, "config": config} for name, config in rows]
    return {"class_name": "Sequential", "layers": layers, **more}


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([("Dense", {"units": 10**8})], "more than 100,000,000 weights"),
        ([("Dense", {"units": 2, "use_bias": float("nan")})], "true or false"),
        ([("Dense", {"units": 2, "use_bias": -(10**400)})], "true or false"),
        ([("Dense", {"units": 2.0})], "must be an integer"),
        ([("Dense", {"units": True})], "must be an integer"),
        ([("Dense", {"units": 2, "activation": "os.system"})], "no activation"),
        ([("Dropout", {"rate": float("nan")})], r"must be in \[0, 1\)"),
        ([("Dropout", {"rate": 0.1})] * 200, "it has 200 layers; 128 are the most"),
        ([("zoo>TiedLogits", {})], "at the wrong place"),
        (
            [("Dense", {"units": 2}), ("Embedding", {"input_dim": 2, "output_dim": 2})],
            "at the wrong place",
        ),
    ],
)
def test_models_of_impossible_size_are_refused(rows, message):
    with pytest.raises(ValueError, match=message):
        sizes_of(config_of(*rows, features=3))


def test_sizes_are_checked_without_tensorflow(root):
    code = "import sys, zoo.store.check; print('tensorflow' in sys.modules)"
    command = [sys.executable, "-c", code]
    made = subprocess.run(command, cwd=root, capture_output=True, text=True)
    assert made.stdout == "False\n"


def test_activations_are_those_of_keras():
    for name in ACTIVATIONS:
        assert callable(keras.activations.get(name))


def test_a_model_that_is_built_to_be_loaded_can_be_initialised_again():
    model = from_config(to_config(on_numbers(bk.layers.LSTM(5))))
    kernel, recurrent, _ = model.layers[0].weights
    assert not kernel.numpy().any() and not recurrent.numpy().any()
    again = keras.models.clone_model(model)
    again.build((None, None, 3))
    assert again.layers[0].weights[0].numpy().all()


def test_arguments_that_a_preset_loses_are_not_written():
    with pytest.raises(ValueError, match="weights, but .* by those arguments"):
        to_config(on_numbers(bk.layers.LRU(5, state_units=7)))
