"""Tasks that generate their data from a seed, anew for each epoch."""

from __future__ import annotations

import abc
import dataclasses
import os
from typing import Any, Generic

import numpy as np

from zoo.recipes.stored import RecipeT
from zoo.system.errors import UserError
from zoo.tasks.task import Task

# Seed and number of rows of each held-out part.
_PARTS = {"validation": (2**32, 1000), "test": (2**32 + 1, 2000)}


@dataclasses.dataclass(frozen=True)
class GeneratedData(Generic[RecipeT]):
    """The name of generated data, and the recipe that generates them."""

    name: str
    recipe: RecipeT

    def describe(self) -> dict[str, Any]:
        """Facts for a model's metadata."""
        values = vars(self.recipe)
        facts = {name: values[name] for name in ("steps", "delay") if name in values}
        return {"name": self.name, "source": "generated"} | facts


class GeneratedTask(Task[GeneratedData[RecipeT], RecipeT]):
    """A task that generates its data as its recipe says."""

    def load(
        self, dataset: str, data_dir: str | os.PathLike | None, recipe: RecipeT
    ) -> GeneratedData[RecipeT]:
        if data_dir is not None:
            raise UserError(
                f"`--data-dir` is for data sets that come from a file; {self.NAME} "
                f"makes its own. Received: --data-dir {data_dir}"
            )
        return GeneratedData(dataset, recipe)


class DrawnTask(GeneratedTask[RecipeT]):
    """A task that draws random sequences.

    Validation and test data have their own fixed seeds, whatever the recipe's seed is.
    """

    @abc.abstractmethod
    def draw(
        self, recipe: RecipeT, rng: np.random.Generator, rows: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draws `(x, y)` with the given number of rows."""

    def training(self, data: GeneratedData[RecipeT], recipe: RecipeT) -> Any:
        # Keras: put off.
        from zoo.fitting.batches import Generated

        def draw(rng: np.random.Generator, rows: int) -> tuple[np.ndarray, np.ndarray]:
            return self.draw(recipe, rng, rows)

        updates = self.updates_per_epoch(data, recipe)
        return Generated(draw, updates, recipe.batch_size, recipe.seed)

    def held_out(self, data: GeneratedData[RecipeT], recipe: RecipeT, part: str) -> Any:
        # Keras: put off.
        from zoo.fitting.batches import ShuffledArrays

        seed, rows = _PARTS[part]
        x, y = self.draw(recipe, np.random.default_rng(seed), rows)
        return ShuffledArrays(x, y, batch_size=250, seed=None)

    def watched(self, data: GeneratedData[RecipeT], recipe: RecipeT) -> Any:
        return self.draw(recipe, np.random.default_rng(_PARTS["validation"][0]), 4)
