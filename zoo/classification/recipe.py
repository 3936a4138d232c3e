"""How a classification model is built and trained."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from zoo.recipes.recipe import Recipe, one_of


@dataclasses.dataclass(frozen=True)
class ClassificationRecipe(Recipe):
    """`Recipe` with the options for reading series."""

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
        "What the class is predicted from: `last`, the outputs after the last "
        "timestep, or `all`, mean and largest value over all timesteps of the "
        "recurrent layers' outputs and of their inputs.",
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
        """Number of inputs of the model per timestep, for a number of channels."""
        return channels * self.stride * (2 if self.directions == "both" else 1)
