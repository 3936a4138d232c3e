"""Recognise a handwritten digit that is read row by row or pixel by pixel."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import datasets
from zoo.recipes.recipe import Recipe
from zoo.tasks.task import Metric, Task

if TYPE_CHECKING:
    import keras

    from zoo.fitting.batches import ShuffledArrays

HELD_OUT = 5000  # of the 60,000, for validation
PERMUTATION_SEED = 92916  # arbitrary, but always the same


@dataclasses.dataclass(frozen=True)
class Digits:
    """Digits as sequences `(n, timesteps, features)` of bytes, and their labels."""

    name: str
    images: dict[str, np.ndarray]
    labels: dict[str, np.ndarray]

    def describe(self) -> dict[str, Any]:
        """Facts for a model's metadata."""
        train = self.images["train"]
        return {
            "name": self.name,
            "timesteps": train.shape[1],
            "features": train.shape[2],
            **{f"{part}_digits": len(x) for part, x in self.images.items()},
        }


class SequentialMnist(Task[Digits, Recipe]):
    """Sequential MNIST.

    The 784 pixels of a digit are read one by one (or, to train in minutes, as 28 rows
    of 28), and the digit is predicted at the end. In the permuted form the pixels of
    all digits are read in the same fixed random order.

    Source: Le, Jaitly & Hinton (2015); Bai, Kolter & Koltun (2018).
    """

    NAME = "mnist"
    SUMMARY = "recognise a digit that is read row by row or pixel by pixel (accuracy)"
    DATASETS = ("mnist-rows", "mnist-pixels", "mnist-permuted")
    METRIC = Metric("accuracy", "", log="sparse_categorical_accuracy", higher=True)
    RECIPES = {
        "mnist-rows": Recipe(
            units=128, batch_size=100, epochs=10, learning_rate=3e-3, dropout=0.2
        ),
        "mnist-pixels": Recipe(
            layer="gru", units=128, batch_size=100, epochs=10, learning_rate=2e-3
        ),
        "mnist-permuted": Recipe(
            layer="gru", units=128, batch_size=100, epochs=10, learning_rate=2e-3
        ),
    }
    # 70,000 weights.
    REFERENCES = {
        "mnist-pixels": {
            "LSTM (Bai et al. 2018)": 0.872,
            "GRU (Bai et al. 2018)": 0.962,
        },
        "mnist-permuted": {
            "LSTM (Bai et al. 2018)": 0.857,
            "GRU (Bai et al. 2018)": 0.873,
        },
    }

    def source_of(self, dataset: str) -> str:
        return {
            "mnist-rows": "70,000 digits, 28 timesteps of 28 pixels",
            "mnist-pixels": "70,000 digits, 784 timesteps of a pixel",
            "mnist-permuted": "the same in one fixed random order",
        }[dataset]

    def load(
        self, dataset: str, data_dir: str | os.PathLike | None, recipe: Recipe
    ) -> Digits:
        parts = datasets.load("mnist", data_dir=data_dir)

        def joined(part: str, name: str) -> np.ndarray:
            blocks = np.stack([block[name] for block in parts[part]])
            return blocks.reshape(-1, *blocks.shape[2:])

        images = {part: joined(part, "images") for part in ("train", "test")}
        labels = {part: joined(part, "labels") for part in ("train", "test")}
        images = {part: self._sequences(dataset, x) for part, x in images.items()}
        for of_part in (images, labels):
            of_part["validation"] = of_part["train"][-HELD_OUT:]
            of_part["train"] = of_part["train"][:-HELD_OUT]
        labels = {part: y.astype(np.int32) for part, y in labels.items()}
        return Digits(dataset, images, labels)

    def _sequences(self, dataset: str, images: np.ndarray) -> np.ndarray:
        if dataset == "mnist-rows":
            return images
        pixels: np.ndarray = images.reshape(len(images), 784)
        if dataset == "mnist-permuted":
            order = np.random.default_rng(PERMUTATION_SEED).permutation(784)
            pixels = pixels[:, order]
        return pixels[..., None]

    def check(self, data: Digits, recipe: Recipe) -> None:
        steps = data.images["train"].shape[1]
        self.require_reach(recipe, steps, "The digit is asked for at the end")

    def training(self, data: Digits, recipe: Recipe) -> Any:
        return self._batches(data, "train", recipe.batch_size, recipe.seed)

    def held_out(self, data: Digits, recipe: Recipe, part: str) -> Any:
        return self._batches(data, part, 250, None)

    def _batches(
        self, data: Digits, part: str, size: int, seed: int | None
    ) -> ShuffledArrays:
        # Keras: put off.
        from zoo.fitting.batches import ShuffledArrays

        x = data.images[part].astype(np.float32) / 255
        return ShuffledArrays(x, data.labels[part], size, seed)

    def watched(self, data: Digits, recipe: Recipe) -> Any:
        x = data.images["validation"][:4].astype(np.float32) / 255
        return x, data.labels["validation"][:4]

    def updates_per_epoch(self, data: Digits, recipe: Recipe) -> int:
        return -(-len(data.images["train"]) // recipe.batch_size)

    def levels(self, data: Digits, recipe: Recipe, part: str) -> dict[str, float]:
        return {"chance": 0.1}

    def build_model(self, data: Digits, recipe: Recipe) -> keras.Sequential:
        # Keras: put off.
        import keras

        from zoo.layers.recurrent import recurrent_stack

        features = data.images["train"].shape[2]
        return keras.Sequential(
            [
                keras.layers.Input((None, features)),
                *recurrent_stack(recipe, return_sequences=False),
                keras.layers.Dense(10, dtype="float32"),
            ]
        )

    def build_loss(self) -> keras.losses.Loss:
        # Keras: put off.
        import keras

        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    def build_metrics(self) -> list[keras.metrics.Metric]:
        # Keras: put off.
        import keras

        return [keras.metrics.SparseCategoricalAccuracy()]
