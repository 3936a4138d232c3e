"""Converts a model's architecture to plain JSON, and back with allowed layers only.

An untrusted file can make `keras.models.load_model` run code. Here a config holds only
numbers, strings, booleans and null, its classes must be in the table of
`zoo.models.kinds`, and sizes are checked before anything is built
(`zoo.models.sizes`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import keras

import bptt_keras as bk
from zoo import layers as zoo_layers
from zoo.layers.keras_internals import all_layers, initializers_of
from zoo.models.kinds import KINDS, PLAIN
from zoo.models.sizes import sizes_of

# The module with the layers of each package: `zoo>Beside` is `zoo.layers.Beside`.
_PACKAGES = {"": keras.layers, "bptt_keras": bk.layers, "zoo": zoo_layers}


def layer_classes() -> dict[str, Callable]:
    """The classes of all layers that a preset may have, by name in `KINDS`."""
    places = {name: name.rpartition(">") for name in KINDS}
    return {
        name: getattr(_PACKAGES[package], own)
        for name, (package, _, own) in places.items()
    }


def to_config(model: keras.Sequential) -> dict:
    """The architecture of a model that reads a sequence of ids or of floats.

    Args:
        model: A `keras.Sequential` of layers that are in `KINDS`.

    Returns:
        A dict of JSON values, for `from_config`.

    Raises:
        ValueError: If it is a different kind of model, has a layer that is not in the
            table, or is larger than a preset can be.
    """
    if type(model) is not keras.Sequential:
        raise ValueError(
            "`model` must be a keras.Sequential, the only kind of model that a preset "
            f"holds. Received: model={model!r}"
        )
    names = {cls: name for name, cls in layer_classes().items()}
    rows: list[dict[str, Any]] = []
    for layer in model.layers:
        if type(layer) not in names:
            raise ValueError(
                f"Layer `{layer.name}` of type {type(layer).__name__} is not one that "
                f"a preset holds: {', '.join(KINDS)}."
            )
        name = names[type(layer)]
        given = layer.get_config() | {"dtype": layer.dtype_policy.name}
        kept = {
            key: given[key] for key in (*KINDS[name].arguments, "dtype") if key in given
        }
        for key, value in kept.items():
            if not isinstance(value, PLAIN):
                raise ValueError(
                    f"Layer `{layer.name}` has a `{key}` that a preset cannot hold, "
                    f"as it is no number or name. Received: {key}={value!r}"
                )
        rows.append({"class_name": name, "config": kept})
    config: dict[str, Any] = {"class_name": "Sequential", "layers": rows}
    if rows and not KINDS[rows[0]["class_name"]].embeds:
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
        config: What `to_config` returned, possibly read from a file.

    Returns:
        A built `keras.Sequential` on ids of shape `(batch, time)`, or on floats of
        shape `(batch, time, features)`, ready to load weights into: most are 0.

    Raises:
        ValueError: If the config is invalid, names a layer or an argument that is not
            in the table, holds values that are not plain, or describes a model of more
            than 100 million weights or 128 layers.
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
    layers: list[keras.layers.Layer] = []
    classes = layer_classes()
    for row in rows:
        name = row["class_name"]
        first = layers[:1] if KINDS[name].tied else []
        layers.append(classes[name](*first, **row["config"]))
    return layers


@contextlib.contextmanager
def _without_initial_values(layers: list) -> Iterator[None]:
    """A context that initialises weights as zeros; random ones can take a minute.

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
