"""A model's architecture as plain JSON, and back through a list of allowed layers.

`keras.models.load_model` can be made to run code by a file from elsewhere. Here a
config holds numbers, strings, booleans and null only, a class is looked up in the
table below and nowhere else, and sizes are looked at before anything is built
(`zoo.models.sizes`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

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
from zoo.models.sizes import EMBEDDINGS, KINDS, PLAIN, sizes_of
from zoo.system.keras_internals import all_layers, initializers_of

# Class by name; `KINDS` says which arguments a file may give.
LAYERS: dict[str, Callable] = {
    "Embedding": keras.layers.Embedding,
    "zoo>WordEmbedding": WordEmbedding,
    "zoo>TiedLogits": TiedLogits,
    "Dropout": keras.layers.Dropout,
    "SpatialDropout1D": keras.layers.SpatialDropout1D,
    "Dense": keras.layers.Dense,
    "bptt_keras>LSTM": bk.layers.LSTM,
    "bptt_keras>GRU": bk.layers.GRU,
    "bptt_keras>SimpleRNN": bk.layers.SimpleRNN,
    "bptt_keras>LayerNormLSTM": bk.layers.LayerNormLSTM,
    "bptt_keras>IndRNN": bk.layers.IndRNN,
    "bptt_keras>MinGRU": bk.layers.MinGRU,
    "bptt_keras>LRU": bk.layers.LRU,
    "bptt_keras>WeightDropLSTM": bk.layers.WeightDropLSTM,
    "bptt_keras>ActivationRegularization": bk.layers.ActivationRegularization,
    "zoo>Influence": Influence,
    "zoo>CausalConvolution": CausalConvolution,
    "zoo>Beside": Beside,
    "zoo>MeanAndMax": MeanAndMax,
    "BatchNormalization": keras.layers.BatchNormalization,
    "Activation": keras.layers.Activation,
}


def to_config(model: keras.Sequential) -> dict:
    """The architecture of a model of a sequence of ids, or of floats.

    Args:
        model: A `keras.Sequential` of layers that are in `LAYERS`.

    Returns:
        A dict that JSON can hold, to be given to `from_config`.

    Raises:
        ValueError: If the model is another kind of model, or has a layer that is not
            in the list, or is larger than a preset can be.
    """
    if type(model) is not keras.Sequential:
        raise ValueError(
            "`model` must be a keras.Sequential, the only kind of model that a preset "
            f"holds. Received: model={model!r}"
        )
    names = {cls: name for name, cls in LAYERS.items()}
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
            key: config[key]
            for key in (*KINDS[name].arguments, "dtype")
            if key in config
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
    counted = sizes_of(config).weights
    if counted != model.count_params():
        raise ValueError(
            f"The model has {model.count_params():,} weights, but {counted:,} by those "
            "arguments of its layers that a preset holds."
        )
    return config


def from_config(config: dict) -> keras.Sequential:
    """Builds the model that a config describes, without its weights.

    Args:
        config: What `to_config` returned, perhaps read from a file.

    Returns:
        A built `keras.Sequential` on ids of shape `(batch, time)`, or on floats of
        shape `(batch, time, features)`, to load weights into: most are 0.

    Raises:
        ValueError: If the config is not one, names a layer or an argument that is not
            in the list, holds something else than plain values, or describes a model
            of more than 100 million weights or 128 layers.
    """
    try:
        sizes_of(config)
        features = config.get("features")
        model = keras.Sequential(_layers(config["layers"]))
        with _without_initial_values(model.layers):
            model.build((None, None) if features is None else (None, None, features))
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise ValueError(f"The model's config is no good: {error}") from None
    return model


def _layers(rows: list[dict]) -> list:
    layers = []
    for row in rows:
        kind = LAYERS[row["class_name"]]
        first = layers[:1] if kind is TiedLogits else []
        layers.append(kind(*first, **row["config"]))
    return layers


@contextlib.contextmanager
def _without_initial_values(layers: list) -> Iterator[None]:
    """Within: weights are made as zeros; large random ones can take a minute.

    The layers keep their initialisers.
    """
    kept = [
        (part, name, initializer)
        for layer in layers
        for part in all_layers(layer)
        for name, initializer in initializers_of(part).items()
    ]
    for part, name, _ in kept:
        setattr(part, name, keras.initializers.Zeros())
    try:
        yield
    finally:
        for part, name, initializer in kept:
            setattr(part, name, initializer)
