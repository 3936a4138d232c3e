"""Add the two marked numbers in a long sequence."""

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


@dataclasses.dataclass(frozen=True)
class AddingRecipe(Recipe):
    """`Recipe` with the length of the sequences."""

    steps: Annotated[int, "Timesteps T of a sequence, at least 2."] = 200
    updates: Annotated[int, "Batches of an epoch."] = 500

    def __post_init__(self) -> None:
        super().__post_init__()
        rule = f"in [2, {limits.STEPS:,}]"
        self.require("steps", 2 <= self.steps <= limits.STEPS, rule)
        self.require("updates", self.updates >= 1, "at least 1")


class Adding(DrawnTask[AddingRecipe]):
    """The adding problem.

    Each timestep has a number, uniform in [0, 1], and a mark. Two timesteps, anywhere
    in the sequence, are marked with 1, all others with 0. The target at the end is the
    sum of the two marked numbers. A constant answer of 1 has a mean squared error of
    1/6, the variance of that sum.

    Source: Hochreiter & Schmidhuber (1997), experiment 4; positions of the marks as in
    Bai, Kolter & Koltun (2018).
    """

    NAME = "adding"
    SUMMARY = "add the two marked numbers of a sequence (mean squared error)"
    DATASETS = ("adding-200", "adding-600")
    METRIC = Metric("mean squared error", "")
    RECIPES = {
        "adding-200": AddingRecipe(
            units=128, batch_size=64, epochs=10, learning_rate=2e-3, steps=200
        ),
        # With a learning rate of 2e-3 it takes over 7 epochs (0.0010).
        "adding-600": AddingRecipe(
            units=128, batch_size=64, epochs=10, learning_rate=5e-3, steps=600
        ),
    }
    # 70,000 weights.
    REFERENCES = {
        "adding-600": {
            "LSTM (Bai et al. 2018)": 0.164,
            "GRU (Bai et al. 2018)": 5.3e-5,
        }
    }

    def draw(
        self, recipe: AddingRecipe, rng: np.random.Generator, rows: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """`(x, y)`: `(rows, steps, 2)` and `(rows, 1)`."""
        x = np.zeros((rows, recipe.steps, 2), np.float32)
        x[..., 0] = rng.uniform(size=(rows, recipe.steps))
        # Two different positions in each row.
        first = rng.integers(recipe.steps, size=rows)
        second = (first + rng.integers(1, recipe.steps, size=rows)) % recipe.steps
        every = np.arange(rows)
        x[every, first, 1] = x[every, second, 1] = 1
        y = x[every, first, 0] + x[every, second, 0]
        return x, y[:, None]

    def check(self, data: GeneratedData[AddingRecipe], recipe: AddingRecipe) -> None:
        self.require_reach(recipe, recipe.steps, "The answer comes at the end")

    def updates_per_epoch(
        self, data: GeneratedData[AddingRecipe], recipe: AddingRecipe
    ) -> int:
        return recipe.updates

    def levels(
        self, data: GeneratedData[AddingRecipe], recipe: AddingRecipe, part: str
    ) -> dict[str, float]:
        return {"always 1": 1 / 6}

    def build_model(
        self, data: GeneratedData[AddingRecipe], recipe: AddingRecipe
    ) -> keras.Sequential:
        # Keras: put off.
        import keras

        from zoo.layers.recurrent import recurrent_stack

        return keras.Sequential(
            [
                keras.layers.Input((None, 2)),
                *recurrent_stack(recipe, return_sequences=False, steps=recipe.steps),
                keras.layers.Dense(1, dtype="float32"),
            ]
        )

    def build_loss(self) -> keras.losses.Loss:
        # Keras: put off.
        import keras

        return keras.losses.MeanSquaredError()
