"""The plain values that are stored with a trained model."""

from __future__ import annotations

import dataclasses
from typing import Any, Generic, TypeVar

from zoo.recipes.recipe import Training

RecipeT = TypeVar("RecipeT", bound=Training)


@dataclasses.dataclass(frozen=True)
class Stored(Generic[RecipeT]):
    """How a trained model reads data.

    Args:
        processing: Plain values that it needs to read them, such as a scaling. They
            may be untrusted, and are not checked.
        recipe: The recipe that it was trained with.
        sizes: Number of inputs and of outputs of the model per timestep; None for a
            model that reads ids.
    """

    processing: dict[str, Any]
    recipe: RecipeT
    sizes: tuple[int | None, int | None]
