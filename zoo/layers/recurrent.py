"""The recurrent layers of a recipe."""

from __future__ import annotations

from typing import Any

import keras

import bptt_keras as bk
from zoo.recipes.recipe import RECURRENT, Recipe


def recurrent_stack(
    recipe: Recipe, *, return_sequences: bool, steps: int | None = None
) -> list[keras.layers.Layer]:
    """The recurrent layers of a recipe, each followed by its dropout.

    Args:
        recipe: The recipe.
        return_sequences: Whether the last layer has an output at each timestep.
        steps: Longest dependency to learn, in timesteps: gates are initialised to stay
            open for about as long (`bptt_keras.initializers.Chrono`). None: Keras'
            biases.

    Returns:
        List of Keras layers.
    """
    layers = []
    for index in range(recipe.layers):
        last = index == recipe.layers - 1
        layers.append(
            recurrent_layer(
                recipe.layer,
                recipe.units,
                return_sequences=return_sequences or not last,
                steps=steps,
            )
        )
        if recipe.dropout:
            layers.append(keras.layers.Dropout(recipe.dropout))
    return layers


def recurrent_layer(
    name: str, units: int, *, return_sequences: bool, steps: int | None = None
) -> keras.layers.Layer:
    """One recurrent layer.

    Args:
        name: One of `zoo.recipes.recipe.LAYERS`.
        units: Number of units.
        return_sequences: Whether it has an output at each timestep.
        steps: As for `recurrent_stack`.
    """
    options: dict[str, Any] = {"return_sequences": return_sequences}
    if name == "lstm" and steps is not None:
        options |= {
            "bias_initializer": bk.initializers.Chrono(steps),
            "unit_forget_bias": False,
        }
    return getattr(bk.layers, RECURRENT[name])(units, **options)
