"""Checks what a classification preset stores: classes and scaling."""

from __future__ import annotations

import numpy as np

from zoo.classification.recipe import ClassificationRecipe
from zoo.plain.json_values import are_numbers, are_texts
from zoo.recipes.stored import Stored
from zoo.system.errors import UserError


def classes_and_scaling(
    stored: Stored[ClassificationRecipe],
) -> tuple[list[str], tuple[np.ndarray, np.ndarray]]:
    """The classes of a preset, and mean and deviation of each channel.

    Raises:
        UserError: If the preset is damaged.
    """
    classes, mean, deviation = (
        stored.processing.get(key) for key in ("classes", "mean", "deviation")
    )
    if (
        are_texts(classes)
        and len(set(classes)) == len(classes) > 0
        and are_numbers(mean)
        # No training part has a smaller deviation.
        and are_numbers(deviation, 1e-9)
        and len(mean) == len(deviation)
        and stored.sizes == (stored.recipe.features(len(mean)), len(classes))
    ):
        return classes, (np.array(mean, float), np.array(deviation, float))
    raise UserError(
        "The preset is damaged: its classes, its scaling, its recipe and its model "
        "do not fit together."
    )
