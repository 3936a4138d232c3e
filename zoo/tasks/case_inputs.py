"""How series are read by a model that tells their class."""

from __future__ import annotations

import dataclasses
from typing import Annotated

import numpy as np

from zoo.cases.neighbours import own_accuracy, standardised
from zoo.recipes.recipe import Recipe, one_of

LOOKED_AT = 500  # cases that choose the scaling, at most


@dataclasses.dataclass(frozen=True)
class ClassificationRecipe(Recipe):
    """`Recipe`, and how a series is read."""

    stride: Annotated[
        int, "Timesteps of a series that are read as one, side by side, at least 1."
    ] = 1
    scaling: Annotated[
        str,
        "`channels`, each with mean 0 and deviation 1 over the training part, or "
        "`cases`, each channel of each case so by itself. Then levels and sizes do "
        "not count.",
    ] = one_of(("channels", "cases"), "channels")
    directions: Annotated[
        str, "`forward`, or `both`, each series beside itself read from its end."
    ] = one_of(("forward", "both"), "forward")
    convolutions: Annotated[
        int, "Convolutional layers before the recurrent ones, at least 0."
    ] = 0
    filters: Annotated[int, "Filters of each of them, at least 1."] = 64
    pooling: Annotated[
        str,
        "What the class is told from, `last`, the outputs after the last timestep, "
        "or `all`, mean and largest value over all timesteps of the recurrent "
        "layers' outputs and of their inputs.",
    ] = one_of(("last", "all"), "last")
    passes: Annotated[
        int,
        "Times that an epoch goes through the training part, at least 1: where it "
        "is small, validation and files after each time would take longer than the "
        "updates.",
    ] = 1
    class_weight: Annotated[
        str, "`none`, all cases alike, or `balanced`, each class with the same weight."
    ] = one_of(("none", "balanced"), "none")

    def __post_init__(self):
        super().__post_init__()
        self.require("convolutions", self.convolutions >= 0, "at least 0")
        for name in ("stride", "filters", "passes"):
            self.require(name, getattr(self, name) >= 1, "at least 1")

    def features(self, channels: int) -> int:
        """Numbers that the model reads at a time, of so many channels."""
        return channels * self.stride * (2 if self.directions == "both" else 1)


def scaled_cases(
    series: list[np.ndarray],
    scaling: tuple[np.ndarray, np.ndarray],
    recipe: ClassificationRecipe,
) -> list[np.ndarray]:
    """Series as the recipe scales them, in float32.

    Args:
        series: Series `(timesteps, channels)`.
        scaling: Mean and deviation of each channel, for `scaling="channels"`.
        recipe: Says which scaling.
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
    """What the model reads of series: scaled, some timesteps side by side.

    Args:
        series: Series `(timesteps, channels)`.
        scaling: As for `scaled_cases`.
        recipe: Says how they are read.

    Returns:
        List of `(ceil(timesteps / stride), recipe.features(channels))`. What is missing
        to whole strides at the end repeats the last timestep.
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


def better_scaling(data) -> str:
    """The scaling by which more training cases have a neighbour of their class.

    Args:
        data: `LabelledCases`.

    Returns:
        "cases" if it is better than "channels", which tells more.
    """
    series, labels = (part[:LOOKED_AT] for part in data.train)
    found = {
        scaling: own_accuracy(
            scaled_cases(series, data.scaling(), ClassificationRecipe(scaling=scaling)),
            labels,
        )
        for scaling in ("channels", "cases")
    }
    return "cases" if found["cases"] > found["channels"] else "channels"
