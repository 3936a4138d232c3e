import json

import keras
import numpy as np
import pytest

import bptt_keras as bk
from zoo.models.config import from_config, to_config

IDS = np.array([[0, 1, 2, 3], [4, 4, 0, 1]])
RECURRENT = [
    bk.layers.LSTM(5, return_sequences=True),
    bk.layers.LSTM(5, return_sequences=True, dropout=0.3, use_bias=False),
    bk.layers.GRU(5, return_sequences=True, reset_after=False),
    bk.layers.SimpleRNN(5, return_sequences=True, activation="relu"),
    bk.layers.WeightDropLSTM(5, 0.4, return_sequences=True),
    bk.layers.ActivationRegularization(alpha=2.0, beta=1.0),
    keras.layers.SpatialDropout1D(0.3),
]


def model_with(*layers):
    model = keras.Sequential([keras.layers.Embedding(6, 3), *layers])
    model.build((None, None))
    return model


@pytest.mark.parametrize("layer", RECURRENT)
def test_config_survives_json_with_the_same_results(layer):
    model = model_with(
        keras.layers.Dropout(0.2), layer, keras.layers.Dense(6, activation="tanh")
    )
    again = from_config(json.loads(json.dumps(to_config(model))))
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(IDS), model(IDS))
    assert to_config(again) == to_config(model)


def test_dtype_policy_survives():
    model = model_with(bk.layers.GRU(4, return_sequences=True, dtype="mixed_bfloat16"))
    again = from_config(to_config(model))
    assert again.layers[1].dtype_policy.name == "mixed_bfloat16"


def test_other_models_and_layers_are_not_written():
    functional = keras.Model(x := keras.Input((3,)), keras.layers.Dense(2)(x))
    with pytest.raises(ValueError, match="must be a keras.Sequential"):
        to_config(functional)
    with pytest.raises(ValueError, match="LayerNormalization is not one"):
        to_config(model_with(keras.layers.LayerNormalization()))
    with pytest.raises(ValueError, match="of type GRU is not one"):
        to_config(model_with(keras.layers.GRU(2, return_sequences=True)))


@pytest.mark.filterwarnings("ignore:The object being serialized includes a `lambda`")
def test_arguments_that_are_not_plain_values_are_not_written():
    with pytest.raises(ValueError, match="`activation` that a preset cannot hold"):
        to_config(model_with(keras.layers.Dense(2, activation=lambda x: x)))


def damaged(change):
    config = to_config(model_with(keras.layers.Dense(6)))
    change(config)
    return config


@pytest.mark.parametrize(
    "change, message",
    [
        (lambda c: c.pop("layers"), "layers"),
        (lambda c: c.update(layers=[]), "not a Sequential model with layers"),
        (lambda c: c.update(class_name="Functional"), "not a Sequential"),
        (lambda c: c["layers"][1].update(class_name="Lambda"), "'Lambda' is not one"),
        (lambda c: c["layers"][1].update(class_name=["Dense"]), "no good"),
        (lambda c: c["layers"][1].update(config=None), "no good"),
        (lambda c: c["layers"][1]["config"].update(units=-1), "no good"),
        (lambda c: c["layers"][1]["config"].update(units="6"), "no good"),
        (lambda c: c["layers"][1]["config"].update(units=10**9), "at most 100,000"),
        (
            lambda c: c["layers"][1]["config"].update(dtype="string"),
            "cannot compute in",
        ),
        (lambda c: c["layers"][0]["config"].update(input_dim=10**8), "more than"),
        (lambda c: c["layers"][1]["config"].update(trainable=True), "no argument"),
        (
            lambda c: c["layers"][1]["config"].update(
                activation={"class_name": "__lambda__", "module": "os"}
            ),
            "is no plain value",
        ),
        (lambda c: c["layers"][1]["config"].update(activation="os.system"), "no good"),
        (lambda c: c["layers"].pop(0), "no good"),
    ],
)
def test_configs_that_to_config_did_not_write_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        from_config(damaged(change))


def test_logits_as_wide_as_a_vocabulary_count():
    layers = [
        ("zoo>WordEmbedding", {"input_dim": 4_000_000, "output_dim": 1}),
        ("zoo>TiedLogits", {}),
        ("Dense", {"units": 600}),
    ]
    rows = [{"class_name": name, "config": config} for name, config in layers]
    with pytest.raises(ValueError, match="more than 100,000,000 weights"):
        from_config({"class_name": "Sequential", "layers": rows})
