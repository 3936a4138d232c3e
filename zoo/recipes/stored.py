"""What is kept beside a trained model: plain values."""

from __future__ import annotations

import dataclasses
from typing import Any, Generic, TypeVar

from zoo.recipes.recipe import Training

RecipeT = TypeVar("RecipeT", bound=Training)


@dataclasses.dataclass(frozen=True)
class Stored(Generic[RecipeT]):
    """How a trained model reads data.

    Args:
        processing: Plain values by which it reads them, such as a scaling. They may
            come from anybody, and are not checked.
        recipe: The recipe that it was trained by.
        sizes: Numbers that the model reads and that it answers with, a timestep; None
            for one that reads ids.
    """

    processing: dict[str, Any]
    recipe: RecipeT
    sizes: tuple[int | None, int | None]
