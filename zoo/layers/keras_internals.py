"""What the zoo takes from Keras without a public name for it.

Each behind a function that says what it gives; `tests/zoo/layers/` has a test for each
that says what has gone when Keras changes it (written for Keras 3.12 to 3.15).
"""

from __future__ import annotations

from typing import Any

import keras


def all_layers(model: keras.Layer) -> list[keras.Layer]:
    """A layer and all layers within it, those within cells and wrappers included."""
    return list(model._flatten_layers())


def is_seed(variable: keras.Variable) -> bool:
    """Whether a variable is the state of a `SeedGenerator`: where random draws are.

    Nothing but its name tells it from other variables without a gradient.
    """
    return variable.path.endswith("seed_generator_state")


def initializers_of(layer: keras.Layer) -> dict[str, Any]:
    """The initialisers that a layer makes its weights with, by their attributes.

    Layers of Keras have no list of them; their names end alike.
    """
    return {
        name: initializer
        for name, initializer in vars(layer).items()
        if name.endswith("_initializer") and initializer is not None
    }


def set_untracked(layer: keras.Layer, name: str, value: Any) -> None:
    """Sets an attribute past Keras' tracking: what it holds is no part of the layer.

    Args:
        layer: The layer.
        name: Name of the attribute.
        value: Such as a layer that another one owns.
    """
    layer.__dict__[name] = value
