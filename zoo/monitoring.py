"""Keras callbacks: what a training run shows, records and keeps."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Callable
from pathlib import Path

import keras

from zoo.files import write_json, write_text


class Summary(keras.callbacks.Callback):
    """Prints the trainer's summary once what runs is known: after the first batch."""

    def __init__(self):
        super().__init__()
        self._printed = False

    def on_train_batch_end(self, batch, logs=None):
        """Prints it, the first time."""
        if not self._printed:
            self._printed = True
            self.model.summary()


class Derived(keras.callbacks.Callback):
    """Adds a task's derived numbers, such as bits per character, to Keras' logs.

    The progress bar and the history show what stands in the logs.

    Args:
        task: A `Task`.
    """

    def __init__(self, task):
        super().__init__()
        self.task = task

    def on_train_batch_end(self, batch, logs=None):
        """Adds them for the epoch so far."""
        logs.update(self.task.derived(logs))

    def on_epoch_end(self, epoch, logs=None):
        """Adds them again: Keras makes new logs for the end of an epoch."""
        logs.update(self.task.derived(logs))


class Recorder(keras.callbacks.Callback):
    """Writes `history.csv` and `history.json` after every epoch.

    Args:
        folder: Where the files go.
    """

    def __init__(self, folder: Path):
        super().__init__()
        self.folder = Path(folder)
        self.history: dict[str, list[float]] = {"epoch": []}
        self.grad_norms: list[float] = []
        self._sum = 0.0

    def restore(self, history: dict, grad_norms: list[float]) -> None:
        """Goes on from what was recorded before a kill."""
        self.history = {name: list(values) for name, values in history.items()}
        self.grad_norms = list(grad_norms)

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the sum of gradient norms."""
        self._sum = 0.0

    def on_train_batch_end(self, batch, logs=None):
        """Records the gradient norm of this batch, the mean over its updates.

        Keras' logs hold the mean over the epoch so far.
        """
        total = (batch + 1) * logs["grad_norm"]
        self.grad_norms.append(total - self._sum)
        self._sum = total

    def on_epoch_end(self, epoch, logs=None):
        """Adds the epoch and writes both files."""
        self.history["epoch"].append(epoch + 1)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        # JSON has no NaN: what is not a number becomes null.
        finite = {
            name: [value if math.isfinite(value) else None for value in values]
            for name, values in self.history.items()
        }
        write_json(self.folder / "history.json", finite)
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(self.history)
        writer.writerows(zip(*self.history.values(), strict=True))
        write_text(self.folder / "history.csv", text.getvalue())


class KeepBest(keras.callbacks.Callback):
    """Calls `save(epoch, value)` after each epoch with the best validation so far.

    Args:
        metric: The task's `Metric`.
        save: Receives the epoch, counted from 1, and its validation metric.
    """

    def __init__(self, metric, save: Callable[[int, float], None]):
        super().__init__()
        self.metric = metric
        self.save = save
        self.best = None
        self.epoch: int | None = None

    def on_epoch_end(self, epoch, logs=None):
        """Saves if this epoch is the best."""
        value = self.metric.factor * float(logs[f"val_{self.metric.log}"])
        if math.isnan(value):
            return
        if self.best is None or self.metric.better(value, self.best):
            self.best, self.epoch = value, epoch + 1
            self.save(epoch + 1, value)
