"""Batches whose order and content are determined by a seed and the epoch.

So a training that was killed resumes exactly as it would have continued.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np

import bptt_keras as bk
from zoo.recipes.recipe import Training

# Function `(rng, rows) -> (x, y)` that draws the given number of rows.
Draw = Callable[[np.random.Generator, int], tuple[np.ndarray, np.ndarray]]


class ShuffledArrays(keras.utils.PyDataset):
    """Rows of arrays, in a different order each epoch.

    Args:
        x: Array `(rows, ...)`.
        y: Array `(rows, ...)`.
        batch_size: Number of rows per batch; the last batch may be smaller.
        seed: Seed of the order. None: no shuffling.
    """

    def __init__(
        self,
        x: np.ndarray,
        y: np.ndarray,
        batch_size: int,
        seed: int | None,
    ) -> None:
        super().__init__()
        self._x, self._y = x, y
        self._batch_size = batch_size
        self._seed = seed
        self._begin(0)

    def __len__(self) -> int:
        return -(-len(self._x) // self._batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rows = self._order[index * self._batch_size : (index + 1) * self._batch_size]
        return self._x[rows], self._y[rows]

    def on_epoch_end(self) -> None:
        """Draws the order of the next epoch."""
        self._begin(self._epoch + 1)

    def _begin(self, epoch: int) -> None:
        self._epoch = epoch
        self._order = np.arange(len(self._x))
        if self._seed is not None:
            np.random.default_rng([self._seed, epoch]).shuffle(self._order)


class Generated(keras.utils.PyDataset):
    """Randomly drawn batches, new ones each epoch.

    Args:
        draw: Function `(rng, rows) -> (x, y)`.
        batches: Number of batches per epoch.
        batch_size: Number of rows per batch.
        seed: Seed of all draws.
    """

    def __init__(self, draw: Draw, batches: int, batch_size: int, seed: int) -> None:
        super().__init__()
        self._draw = draw
        self._batches = batches
        self._batch_size = batch_size
        self._seed = seed
        self._epoch = 0

    def __len__(self) -> int:
        return self._batches

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self._seed, self._epoch, index])
        return self._draw(rng, self._batch_size)

    def on_epoch_end(self) -> None:
        """Moves on to the next epoch."""
        self._epoch += 1


def ragged_batches(
    x: Sequence[np.ndarray],
    y: Any,
    recipe: Training,
    *,
    window: int,
    shuffle: bool,
) -> bk.data.RaggedBatches:
    """Batches of sequences of different lengths.

    Args:
        x: List of sequences.
        y: Targets, as for `bptt_keras.data.RaggedBatches`.
        recipe: Determines the batch size and the seed of the order.
        window: As for `bptt_keras.data.RaggedBatches`.
        shuffle: Whether to shuffle the rows.
    """
    return bk.data.RaggedBatches(
        x,
        y,
        batch_size=recipe.batch_size,
        window=window,
        shuffle=shuffle,
        seed=recipe.seed if shuffle else None,
    )


class WeighedStream(keras.utils.PyDataset):
    """Long series side by side, window by window, with a weight for each timestep.

    Args:
        x: Array `(rows, timesteps, features)`.
        y: Array `(rows, timesteps, ...)`.
        weights: Array `(timesteps,)`.
        window: Number of timesteps per batch; the last batch may be shorter.
    """

    def __init__(
        self, x: np.ndarray, y: np.ndarray, weights: np.ndarray, window: int
    ) -> None:
        super().__init__()
        rows = np.broadcast_to(weights, (len(x), len(weights)))
        self._arrays = x, y, rows
        self._window = window

    def __len__(self) -> int:
        return -(-self._arrays[0].shape[1] // self._window)

    def __getitem__(self, index: int) -> tuple[dict[str, Any], Any, Any]:
        steps = slice(index * self._window, (index + 1) * self._window)
        x, y, weights = (array[:, steps] for array in self._arrays)
        reset = np.full(len(x), index == 0)
        return {"inputs": x, "reset": reset}, y, weights


class DrawnWindows(keras.callbacks.Callback):
    """Makes the random windows of a `TruncatedBPTT` depend only on seed and epoch.

    Args:
        seed: Seed of the draws.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self._seed = seed

    def on_epoch_begin(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Draws the epoch's windows anew."""
        self.model.truncation.reseed(f"{self._seed}, {epoch}")
