"""Recall ten symbols after a long blank."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import numpy as np

from zoo.recipes.recipe import Recipe
from zoo.system import limits
from zoo.tasks.generated import DrawnTask, GeneratedData
from zoo.tasks.task import Metric

if TYPE_CHECKING:
    import keras

SYMBOLS, RECALLED, BLANK, GO = 8, 10, 0, 9
IDS = 10


@dataclasses.dataclass(frozen=True)
class CopyRecipe(Recipe):
    """`Recipe` with the length of the blank."""

    steps: Annotated[int, "Blank timesteps T, at least 1; a sequence has T + 20."] = 100
    updates: Annotated[int, "Batches of an epoch."] = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        rule = f"in [1, {limits.STEPS:,}]"
        self.require("steps", 1 <= self.steps <= limits.STEPS, rule)
        self.require("updates", self.updates >= 1, "at least 1")


class CopyMemory(DrawnTask[CopyRecipe]):
    """The copy memory task.

    The input is ten symbols from 1 to 8, then blanks (0), then for the last ten
    timesteps the signal to recall (9). The output is blank until then, and then the ten
    symbols in order: one answer per timestep, T + 20 in all. A model that knows when to
    answer but not what loses 10 ln 8 / (T + 20) nats per timestep.

    Source: Arjovsky, Shah & Bengio (2016), section 5.1; Bai, Kolter & Koltun (2018).
    """

    NAME = "copy-memory"
    SUMMARY = "recall ten symbols after a blank (cross-entropy in nats per timestep)"
    DATASETS = ("copy-100",)
    METRIC = Metric("cross-entropy", "nats per timestep")
    RECIPES = {
        # With a learning rate of 2e-3 it remembers half of the symbols (0.05).
        "copy-100": CopyRecipe(
            units=128, batch_size=64, epochs=20, learning_rate=1.6e-2, steps=100
        )
    }

    def draw(
        self, recipe: CopyRecipe, rng: np.random.Generator, rows: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """`(x, y)` of ids, `(rows, steps + 20)` each."""
        symbols = rng.integers(1, SYMBOLS + 1, size=(rows, RECALLED))
        x = np.zeros((rows, recipe.steps + 2 * RECALLED), np.int32)
        x[:, :RECALLED] = symbols
        x[:, -RECALLED:] = GO
        y = np.zeros_like(x)
        y[:, -RECALLED:] = symbols
        return x, y

    def check(self, data: GeneratedData[CopyRecipe], recipe: CopyRecipe) -> None:
        length = recipe.steps + 2 * RECALLED
        why = f"What is recalled lies {recipe.steps + RECALLED} timesteps back"
        self.require_reach(recipe, length, why)

    def updates_per_epoch(
        self, data: GeneratedData[CopyRecipe], recipe: CopyRecipe
    ) -> int:
        return recipe.updates

    def levels(
        self, data: GeneratedData[CopyRecipe], recipe: CopyRecipe, part: str
    ) -> dict[str, float]:
        steps = data.recipe.steps
        return {
            "no memory": RECALLED * np.log(SYMBOLS) / (steps + 2 * RECALLED),
            "uniform (chance)": float(np.log(IDS)),
        }

    def build_model(
        self, data: GeneratedData[CopyRecipe], recipe: CopyRecipe
    ) -> keras.Sequential:
        # Keras: put off.
        import keras

        from zoo.layers.recurrent import recurrent_stack

        steps = recipe.steps + RECALLED
        model = keras.Sequential(
            [
                keras.layers.Embedding(IDS, IDS, embeddings_initializer="identity"),
                *recurrent_stack(recipe, return_sequences=True, steps=steps),
                keras.layers.Dense(IDS, dtype="float32"),
            ]
        )
        model.build((None, None))
        return model

    def build_loss(self) -> keras.losses.Loss:
        # Keras: put off.
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)
