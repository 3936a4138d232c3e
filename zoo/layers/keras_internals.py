"""What the zoo uses of Keras that has no public name.

Each such name is wrapped in a function that says what it returns; `tests/zoo/layers/`
has a test for each, whose message says what Keras changed (written for Keras 3.12 to
3.15).
"""

from __future__ import annotations

from typing import Any

import keras


def all_layers(model: keras.Layer) -> list[keras.Layer]:
    """A layer and all layers within it, including those in cells and wrappers."""
    return list(model._flatten_layers())


def is_seed(variable: keras.Variable) -> bool:
    """Whether a variable is the state of a `SeedGenerator`.

    Only its name distinguishes it from other variables without a gradient.
    """
    return variable.path.endswith("seed_generator_state")


def initializers_of(layer: keras.Layer) -> dict[str, Any]:
    """The initialisers of a layer's weights, by attribute name.

    Keras layers have no list of them, but their names have a common ending.
    """
    return {
        name: initializer
        for name, initializer in vars(layer).items()
        if name.endswith("_initializer") and initializer is not None
    }


def set_untracked(layer: keras.Layer, name: str, value: Any) -> None:
    """Sets an attribute without Keras tracking its value as part of the layer.

    Args:
        layer: The layer.
        name: Name of the attribute.
        value: The value, such as a layer that another one owns.
    """
    layer.__dict__[name] = value
