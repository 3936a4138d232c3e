"""A model's architecture as plain JSON, and back through a list of allowed layers.

`keras.models.load_model` can be made to run code by a file from elsewhere. Here a
config holds numbers, strings, booleans and null only, a class is looked up in the
table below and nowhere else, and weights are looked at before they are read.
"""

from __future__ import annotations

from collections.abc import Callable

import keras

import bptt_keras as bk
from zoo.layers import (
    Beside,
    CausalConvolution,
    Influence,
    MeanAndMax,
    TiedLogits,
    WordEmbedding,
)

RECURRENT = (
    "units use_bias activation recurrent_activation reset_after dropout "
    "recurrent_dropout return_sequences go_backwards zero_output_for_mask"
).split()
# Class by name, and which arguments a file may give. What only concerns training
# (initialisers, regularisers, constraints) is left out: the weights are there.
LAYERS: dict[str, tuple[Callable, list[str]]] = {
    "Embedding": (keras.layers.Embedding, ["input_dim", "output_dim", "mask_zero"]),
    "zoo>WordEmbedding": (WordEmbedding, ["input_dim", "output_dim", "dropout"]),
    # Its argument, the embedding, is the model's first layer.
    "zoo>TiedLogits": (TiedLogits, []),
    "Dropout": (keras.layers.Dropout, ["rate"]),
    "SpatialDropout1D": (keras.layers.SpatialDropout1D, ["rate"]),
    "Dense": (keras.layers.Dense, ["units", "use_bias", "activation"]),
    "bptt_keras>LSTM": (bk.layers.LSTM, RECURRENT),
    "bptt_keras>GRU": (bk.layers.GRU, RECURRENT),
    "bptt_keras>SimpleRNN": (bk.layers.SimpleRNN, RECURRENT),
    "bptt_keras>LayerNormLSTM": (bk.layers.LayerNormLSTM, RECURRENT),
    "bptt_keras>IndRNN": (bk.layers.IndRNN, RECURRENT),
    "bptt_keras>MinGRU": (bk.layers.MinGRU, RECURRENT),
    "bptt_keras>LRU": (bk.layers.LRU, RECURRENT),
    "bptt_keras>WeightDropLSTM": (
        bk.layers.WeightDropLSTM,
        [*RECURRENT, "weight_dropout"],
    ),
    "bptt_keras>ActivationRegularization": (
        bk.layers.ActivationRegularization,
        ["alpha", "beta"],
    ),
    "zoo>Influence": (Influence, []),
    "zoo>CausalConvolution": (CausalConvolution, ["filters", "kernel_size"]),
    "zoo>Beside": (Beside, ["units", "layer"]),
    "zoo>MeanAndMax": (MeanAndMax, []),
    "BatchNormalization": (keras.layers.BatchNormalization, ["momentum", "epsilon"]),
    "Activation": (keras.layers.Activation, ["activation"]),
}
EMBEDDINGS = ("Embedding", "zoo>WordEmbedding")
LARGEST = 100_000_000  # weights; a size in a file must not fill the memory
DTYPES = ("float32", "float16", "bfloat16", "mixed_float16", "mixed_bfloat16")
PLAIN = (str, int, float, bool, type(None))


def to_config(model: keras.Sequential) -> dict:
    """The architecture of a model of a sequence of ids, or of floats.

    Args:
        model: A `keras.Sequential` of layers that are in `LAYERS`.

    Returns:
        A dict that JSON can hold, to be given to `from_config`.

    Raises:
        ValueError: If the model is another kind of model, or has a layer that is not
            in the list.
    """
    if type(model) is not keras.Sequential:
        raise ValueError(
            "`model` must be a keras.Sequential, the only kind of model that a preset "
            f"holds. Received: model={model!r}"
        )
    names = {cls: name for name, (cls, _) in LAYERS.items()}
    rows = []
    for layer in model.layers:
        if type(layer) not in names:
            raise ValueError(
                f"Layer `{layer.name}` of type {type(layer).__name__} is not one that "
                f"a preset holds: {', '.join(LAYERS)}."
            )
        name = names[type(layer)]
        config = layer.get_config() | {"dtype": layer.dtype_policy.name}
        config = {
            key: config[key] for key in (*LAYERS[name][1], "dtype") if key in config
        }
        for key, value in config.items():
            if not isinstance(value, PLAIN):
                raise ValueError(
                    f"Layer `{layer.name}` has a `{key}` that a preset cannot hold, "
                    f"as it is no number or name. Received: {key}={value!r}"
                )
        rows.append({"class_name": name, "config": config})
    config = {"class_name": "Sequential", "layers": rows}
    if rows and rows[0]["class_name"] not in EMBEDDINGS:
        config["features"] = model.input_shape[-1]
    return config


def from_config(config: dict) -> keras.Sequential:
    """Builds the model that a config describes, with fresh weights.

    Args:
        config: What `to_config` returned, perhaps read from a file.

    Returns:
        A built `keras.Sequential` on ids of shape `(batch, time)`, or on floats of
        shape `(batch, time, features)`.

    Raises:
        ValueError: If the config is not one, names a layer or an argument that is not
            in the list, holds something else than plain values, or describes a model
            of more than 100 million weights.
    """
    try:
        rows = config["layers"]
        for row in rows:
            _check(row["class_name"], row["config"])
        if config["class_name"] != "Sequential" or not rows:
            raise ValueError("not a Sequential model with layers")
        features = config.get("features")
        if features is not None and not (type(features) is int and features >= 1):
            raise ValueError(f"`features` is no number of features: {features!r}")
        if _weights_at_most(rows, features) > LARGEST:
            raise ValueError(f"more than {LARGEST:,} weights")
        model = keras.Sequential(_layers(rows))
        model.build((None, None) if features is None else (None, None, features))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"The model's config is no good: {error}") from None
    return model


def _layers(rows: list[dict]) -> list:
    layers = []
    for row in rows:
        kind = LAYERS[row["class_name"]][0]
        first = layers[:1] if kind is TiedLogits else []
        layers.append(kind(*first, **row["config"]))
    return layers


def _check(name: str, config: dict) -> None:
    if name not in LAYERS:
        raise ValueError(f"layer {name!r} is not one of: {', '.join(LAYERS)}")
    for key, value in config.items():
        if key not in (*LAYERS[name][1], "dtype"):
            raise ValueError(f"{name} has no argument {key!r} here")
        if not isinstance(value, PLAIN):
            raise ValueError(f"argument {key!r} of {name} is no plain value")
    if config.get("dtype", "float32") not in DTYPES:
        raise ValueError(f"{name} cannot compute in {config['dtype']!r}")


def _weights_at_most(rows: list[dict], features: int | None) -> int:
    """A bound on the number of weights, before any memory is taken for them."""
    total, width = 0, features or 1
    for row in rows:
        config = row["config"]
        if row["class_name"] in EMBEDDINGS:
            width = config["output_dim"]
            # And a bias, if logits are tied to it.
            total += config["input_dim"] * (width + 1)
        elif row["class_name"] == "zoo>TiedLogits":
            width = rows[0]["config"].get("input_dim", width)
        elif row["class_name"] == "zoo>CausalConvolution":
            filters = config["filters"]
            total += filters * (config["kernel_size"] * width + 1)
            width = filters
        elif row["class_name"] == "BatchNormalization":
            total += 4 * width
        elif row["class_name"] == "zoo>MeanAndMax":
            width *= 2
        elif "units" in config:
            units = config["units"]
            total += 4 * units * (width + units + 2)
            width = units + (width if row["class_name"] == "zoo>Beside" else 0)
    return total
