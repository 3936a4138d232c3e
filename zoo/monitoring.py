"""Keras callbacks: what a training run shows, records and keeps."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable
from pathlib import Path

import keras

from zoo.files import write_json, write_text
from zoo.report import bits

TOKENS_PER_SECOND = "tokens/s"


class Summary(keras.callbacks.Callback):
    """Prints the trainer's summary once what runs is known: after the first batch.

    The progress bar's first line comes later, so nothing is torn apart.
    """

    def __init__(self):
        super().__init__()
        self._printed = False

    def on_train_batch_end(self, batch, logs=None):
        """Prints it, the first time."""
        if not self._printed:
            self._printed = True
            self.model.summary()


class Meter(keras.callbacks.Callback):
    """Adds bits per character and characters per second to Keras' logs.

    The progress bar and the history show what stands in the logs. `bpc` is
    `loss / ln 2`, `val_bpc` likewise. `tokens/s` counts training alone: not the
    compilation at the first batch, and not validation.

    Args:
        streams: Batch rows.
        window: Characters of a full batch row.
        length: Characters of a stream: the last batch of an epoch may be shorter.
    """

    def __init__(self, *, streams: int, window: int, length: int):
        super().__init__()
        self.streams = streams
        self.window = window
        self.length = length
        self._start = self._skipped = self._rate = None

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the clock."""
        self._start, self._skipped = time.perf_counter(), 0

    def on_train_batch_end(self, batch, logs=None):
        """Adds the two numbers for the epoch so far."""
        seen = self.streams * min((batch + 1) * self.window, self.length)
        now = time.perf_counter()
        if self._rate is None:
            self._start, self._skipped, self._rate = now, seen, 0.0
        elif now > self._start:
            self._rate = (seen - self._skipped) / (now - self._start)
        self._add(logs)

    def on_epoch_end(self, epoch, logs=None):
        """Adds them again: Keras makes new logs for the end of an epoch."""
        self._add(logs)

    def _add(self, logs):
        logs["bpc"] = bits(logs["loss"])
        if "val_loss" in logs:
            logs["val_bpc"] = bits(logs["val_loss"])
        # Whole numbers: the progress bar would show four digits behind the point.
        logs[TOKENS_PER_SECOND] = round(self._rate)


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

    def on_epoch_begin(self, epoch, logs=None):
        """Starts the sum of gradient norms."""
        self._sum = 0.0

    def on_train_batch_end(self, batch, logs=None):
        """Records the gradient norm of this update.

        Keras' logs hold the mean over the epoch so far. A batch of a stream is one
        window, so the growth of the sum is the norm of this batch's update.
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
    """Calls `save(epoch, val_loss)` after each epoch with the lowest loss so far.

    Args:
        save: Receives the epoch, counted from 1, and its validation loss.
    """

    def __init__(self, save: Callable[[int, float], None]):
        super().__init__()
        self.save = save
        self.best = float("inf")

    def on_epoch_end(self, epoch, logs=None):
        """Saves if this epoch is the best."""
        if logs["val_loss"] < self.best:
            self.best = logs["val_loss"]
            self.save(epoch + 1, float(self.best))
