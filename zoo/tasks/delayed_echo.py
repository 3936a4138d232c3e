"""Repeat a bit that came some timesteps ago: carried state at work."""

from __future__ import annotations

import dataclasses
import math
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from zoo.recipes.recipe import Recipe
from zoo.system import limits
from zoo.system.errors import UserError
from zoo.tasks.generated import GeneratedData, GeneratedTask
from zoo.tasks.task import Metric

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class EchoRecipe(Recipe):
    """`Recipe` with the distance to the answer."""

    delay: Annotated[int, "Timesteps d, at least 1."] = 8
    length: Annotated[int, "Timesteps of a training stream in an epoch."] = 2000

    def __post_init__(self) -> None:
        super().__post_init__()
        self.require("delay", self.delay >= 1, "at least 1")
        self.require("length", self.length >= 1, "at least 1")
        # The held-out streams have 1,000 timesteps.
        most = limits.GENERATED // self.batch_size
        small = max(self.length, 1000) <= most
        self.require("length", small, f"at most {most:,} in {self.batch_size:,} rows")


class DelayedEcho(GeneratedTask[EchoRecipe]):
    """Delayed echo.

    The input is a stream of random bits; the target at time t is the bit at time t - d.
    With windows of w >= d timesteps, the last w - d answers of a window lie inside it;
    the first d lie in the window before, and only the carried state knows them.
    Resetting the state at each window costs ln 2 for each of those.
    """

    NAME = "delayed-echo"
    SUMMARY = "repeat the bit of d timesteps ago (accuracy); needs carried state"
    DATASETS = ("echo-8",)
    METRIC = Metric("accuracy", "", log="binary_accuracy", higher=True)
    RECIPES = {
        "echo-8": EchoRecipe(
            units=64, batch_size=32, window=16, epochs=10, learning_rate=3e-3
        )
    }

    def check(self, data: GeneratedData[EchoRecipe], recipe: EchoRecipe) -> None:
        self.require_window(recipe, "an echo, whose bits are one long stream")
        window = recipe.finite_window
        if window > recipe.length:
            raise UserError(f"--window must be at most --length {recipe.length}.")
        if window < recipe.delay:
            raise UserError(
                f"A window of {window} never sees a bit and its echo, "
                f"{recipe.delay} timesteps later. Raise --window or lower --delay."
            )

    def training(self, data: GeneratedData[EchoRecipe], recipe: EchoRecipe) -> Any:
        return self._streams(recipe, [recipe.seed, 0], recipe.length)

    def held_out(
        self, data: GeneratedData[EchoRecipe], recipe: EchoRecipe, part: str
    ) -> Any:
        return self._streams(recipe, [{"validation": 1, "test": 2}[part]], 1000)

    def _streams(self, recipe: EchoRecipe, seed: list[int], length: int) -> Any:
        # Keras: put off.
        import bptt_keras as bk

        count = recipe.batch_size * length
        bits = np.random.default_rng(seed).integers(2, size=count + recipe.delay)
        x = bits[recipe.delay :].astype(np.float32)[:, None]
        y = bits[:count].astype(np.float32)[:, None]
        return bk.data.streams(
            x, batch_size=recipe.batch_size, window=recipe.finite_window, targets=y
        )

    def watched(self, data: GeneratedData[EchoRecipe], recipe: EchoRecipe) -> Any:
        size = 4, 4 * recipe.finite_window
        drawn = np.random.default_rng(3).integers(2, size=size)
        bits = drawn.astype(np.float32)[..., None]
        # What is echoed before the first bit is 0.
        echo = np.pad(bits, ((0, 0), (recipe.delay, 0), (0, 0)))[:, : bits.shape[1]]
        return bits, echo

    def updates_per_epoch(
        self, data: GeneratedData[EchoRecipe], recipe: EchoRecipe
    ) -> int:
        return math.ceil(recipe.length / recipe.finite_window)

    def levels(
        self, data: GeneratedData[EchoRecipe], recipe: EchoRecipe, part: str
    ) -> dict[str, float]:
        # The fraction of a window's answers whose bit lies in the window before.
        recipe = data.recipe
        window = recipe.finite_window
        unseen = min(recipe.delay, window) / window
        return {"without carried state": 1 - unseen / 2, "chance": 0.5}

    def build_model(
        self, data: GeneratedData[EchoRecipe], recipe: EchoRecipe
    ) -> keras.Sequential:
        # Keras: put off.
        import keras

        from zoo.layers.recurrent import recurrent_stack

        return keras.Sequential(
            [
                keras.layers.Input((None, 1)),
                *recurrent_stack(recipe, return_sequences=True),
                keras.layers.Dense(1, dtype="float32"),
            ]
        )

    def build_loss(self) -> keras.losses.Loss:
        # Keras: put off.
        import keras

        return keras.losses.BinaryCrossentropy(from_logits=True)

    def build_metrics(self) -> list[keras.metrics.Metric]:
        # Keras: put off.
        import keras

        # On logits.
        return [keras.metrics.BinaryAccuracy(threshold=0.0)]
