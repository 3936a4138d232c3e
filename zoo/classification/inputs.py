"""The inputs of a classification model."""

from __future__ import annotations

import numpy as np

from zoo.cases.labelled import LabelledCases
from zoo.cases.neighbours import own_accuracy, standardised
from zoo.classification.recipe import ClassificationRecipe

LOOKED_AT = 500  # the most cases for choosing the scaling


def scaled_cases(
    series: list[np.ndarray],
    scaling: tuple[np.ndarray, np.ndarray],
    recipe: ClassificationRecipe,
) -> list[np.ndarray]:
    """Scales series as the recipe says, in float32.

    Args:
        series: Series `(timesteps, channels)`.
        scaling: Mean and deviation of each channel, for `scaling="channels"`.
        recipe: Determines the scaling.
    """
    if recipe.scaling == "cases":
        return [standardised(s).astype(np.float32) for s in series]
    mean, deviation = scaling
    return [
        # A value far outside the training part must not become infinite.
        np.clip((s.astype(float) - mean) / deviation, -1e6, 1e6).astype(np.float32)
        for s in series
    ]


def case_inputs(
    series: list[np.ndarray],
    scaling: tuple[np.ndarray, np.ndarray],
    recipe: ClassificationRecipe,
) -> list[np.ndarray]:
    """The model's inputs from series: scaled, several timesteps side by side.

    Args:
        series: Series `(timesteps, channels)`.
        scaling: As for `scaled_cases`.
        recipe: Determines scaling and stride.

    Returns:
        List of `(ceil(timesteps / stride), recipe.features(channels))`. An incomplete
        stride at the end is completed by repeating the last timestep.
    """
    read = []
    for values in scaled_cases(series, scaling, recipe):
        steps = -(-len(values) // recipe.stride)
        missing = steps * recipe.stride - len(values)
        values = np.pad(values, ((0, missing), (0, 0)), mode="edge")
        if recipe.directions == "both":
            values = np.concatenate([values, values[::-1]], axis=1)
        read.append(values.reshape(steps, -1))
    return read


def better_scaling(data: LabelledCases) -> str:
    """The scaling with which more training cases have a neighbour of their class.

    Args:
        data: The cases.

    Returns:
        "cases" if it is better than "channels", which preserves more information.
    """
    series, labels = data.train[0][:LOOKED_AT], data.train[1][:LOOKED_AT]
    found = {
        scaling: own_accuracy(
            scaled_cases(series, data.scaling(), ClassificationRecipe(scaling=scaling)),
            labels,
        )
        for scaling in ("channels", "cases")
    }
    return "cases" if found["cases"] > found["channels"] else "channels"
