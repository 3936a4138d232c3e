"""Tasks that make their data: by a seed, new ones each epoch."""

from __future__ import annotations

import abc
import dataclasses

import numpy as np

from zoo.recipes.recipe import Training
from zoo.tasks.task import Task

# Seeds of the parts that are never trained on, and their rows.
_PARTS = {"validation": (2**32, 1000), "test": (2**32 + 1, 2000)}


@dataclasses.dataclass(frozen=True)
class GeneratedData:
    """The name of generated data, and the recipe that says what they look like."""

    name: str
    recipe: Training

    def describe(self) -> dict:
        """Facts for the metadata of a model."""
        values = vars(self.recipe)
        facts = {name: values[name] for name in ("steps", "delay") if name in values}
        return {"name": self.name, "source": "generated", **facts}


class GeneratedTask(Task):
    """A task that makes its data, as its recipe says."""

    def load(self, dataset, data_dir, recipe):
        from zoo.system.errors import UserError

        if data_dir is not None:
            raise UserError(
                f"`--data-dir` is for data sets that come from a file; {self.NAME} "
                f"makes its own. Received: --data-dir {data_dir}"
            )
        return GeneratedData(dataset, recipe)


class DrawnTask(GeneratedTask):
    """A task that draws its sequences.

    Validation and test data are drawn by seeds of their own, the same for every
    recipe's seed.
    """

    @abc.abstractmethod
    def draw(self, recipe: Training, rng: np.random.Generator, rows: int):
        """`(x, y)` of so many rows."""

    def training(self, data, recipe, epoch=0):
        from zoo.fitting.batches import Generated

        def draw(rng, rows):
            return self.draw(recipe, rng, rows)

        return Generated(draw, recipe.updates, recipe.batch_size, recipe.seed, epoch)

    def held_out(self, data, recipe, part):
        from zoo.fitting.batches import ShuffledArrays

        seed, rows = _PARTS[part]
        x, y = self.draw(recipe, np.random.default_rng(seed), rows)
        return ShuffledArrays(x, y, batch_size=250, seed=None)

    def watched(self, data, recipe):
        return self.draw(recipe, np.random.default_rng(_PARTS["validation"][0]), 4)

    def updates_per_epoch(self, data, recipe):
        return recipe.updates
