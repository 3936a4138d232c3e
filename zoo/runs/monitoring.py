"""Keras callbacks that show, record and save the progress of a training run."""

from __future__ import annotations

import csv
import io
import math
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import keras
import numpy as np

from zoo.runs.report import derived
from zoo.system.files import write_json, write_text
from zoo.tasks.task import Metric


class Stateless(keras.callbacks.Callback):
    """A callback of which `bptt_keras.callbacks.Resume` has nothing to save."""

    def get_state(self) -> None:
        """Nothing."""

    def set_state(self, state: None) -> None:
        """Nothing to restore."""


class Summary(Stateless):
    """Prints the trainer's summary after the first batch, when it is complete."""

    def __init__(self):
        super().__init__()
        self._printed = False

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Prints it, the first time."""
        if not self._printed:
            self._printed = True
            self.model.summary()


class Derived(Stateless):
    """Adds values derived from a metric, such as bits per character, to Keras' logs.

    The progress bar and the history show what is in the logs.

    Args:
        metric: The task's `Metric`.
    """

    def __init__(self, metric: Metric):
        super().__init__()
        self.metric = metric

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Adds them for the epoch so far."""
        logs.update(derived(logs, self.metric))

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Adds them again: Keras makes new logs for the end of an epoch."""
        logs.update(derived(logs, self.metric))


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

    def get_state(self) -> dict[str, Any]:
        """What `bptt_keras.callbacks.Resume` saves: all that is recorded."""
        norms = np.array(self.grad_norms)
        return {"history": self.history, "grad_norms": norms, "sum": self._sum}

    def set_state(self, state: dict[str, Any]) -> None:
        """Continues from what was recorded before an interruption."""
        # Others hold the history, too.
        self.history.clear()
        self.history.update(state["history"])
        self.grad_norms[:] = state["grad_norms"].tolist()
        self._sum = state["sum"]

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Resets the sum of gradient norms."""
        self._sum = 0.0

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Records the gradient norm of this batch, the mean over its updates.

        Keras' logs hold the mean over the epoch so far.
        """
        total = (batch + 1) * logs["grad_norm"]
        self.grad_norms.append(total - self._sum)
        self._sum = total

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Adds the epoch and writes both files."""
        self.history["epoch"].append(epoch + 1)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(float(value))
        # JSON has no NaN: values that are not finite become null.
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

    The lower loss breaks ties, then the later epoch wins: with few cases many epochs
    reach the same accuracy.

    Args:
        metric: The task's `Metric`, whose value is passed to `save`.
        save: Receives the epoch, counted from 1, and its validation metric.
        selection: `Metric` that selects; None: the last epoch is the best.

    Attributes:
        best: `{"epoch", "value", "chosen", "loss"}` of the best epoch, or None.
    """

    def __init__(
        self,
        metric: Metric,
        save: Callable[[int, float], None],
        *,
        selection: Metric | Literal["metric"] | None = "metric",
    ):
        super().__init__()
        self.metric = metric
        self.selection: Metric | None = metric if selection == "metric" else selection
        self.save = save
        self.best: dict | None = None

    def get_state(self) -> dict | None:
        """What `bptt_keras.callbacks.Resume` saves: the best epoch so far."""
        return self.best

    def set_state(self, state: dict | None) -> None:
        """Restores it."""
        self.best = state

    @property
    def value(self) -> float | None:
        """The validation metric of the best epoch."""
        return None if self.best is None else self.best["value"]

    @property
    def epoch(self) -> int | None:
        """The best epoch, counted from 1."""
        return None if self.best is None else self.best["epoch"]

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Saves if this epoch is the best."""
        now = {
            "epoch": epoch + 1,
            "value": validation(self.metric, logs),
            "chosen": validation(self.selection or self.metric, logs),
            "loss": float(logs.get("val_loss", 0.0)),
        }
        if math.isnan(now["chosen"]):
            return
        if self.best is None or self.selection is None or self._is_better(now):
            self.best = now
            self.save(epoch + 1, now["value"])

    def _is_better(self, now: dict) -> bool:
        best, selection = self.best, self.selection
        if best is None or selection is None:
            return True
        if now["chosen"] != best["chosen"]:
            return selection.better(now["chosen"], best["chosen"])
        return not now["loss"] > best["loss"]


class TrainingEnded(Exception):
    """A training is resumed that has nothing more to do.

    Attributes:
        within_epoch: Whether it had begun an epoch.
    """

    def __init__(self, *, within_epoch: bool):
        super().__init__()
        self.within_epoch = within_epoch


class Patience(Stateless):
    """Stops a training that no longer improves.

    The best epoch is in the state of the `KeepBest`.

    Args:
        epochs: Epochs without improvement after which it stops; None: never.
        keeper: The `KeepBest`, which must run before this callback.
        since: Earliest epoch from which they are counted.
        stop: Whether to stop before anything is trained, where the training resumes.

    Raises:
        TrainingEnded: When a training is resumed whose patience is used up, or that
            shall stop.
    """

    def __init__(
        self,
        epochs: int | None,
        keeper: KeepBest,
        *,
        since: int = 0,
        stop: bool = False,
    ):
        super().__init__()
        self.epochs, self.keeper, self.since = epochs, keeper, since
        self.stop = stop

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Ends a training that is resumed only to end."""
        if self.stop or self.is_used_up(epoch):
            raise TrainingEnded(within_epoch=False)

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        """The same, in the midst of an epoch."""
        if self.stop:
            raise TrainingEnded(within_epoch=True)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Stops the training if the patience is used up."""
        if self.is_used_up(epoch + 1):
            self.model.stop_training = True

    def is_used_up(self, epoch: int) -> bool:
        """Whether the patience has run out after the given number of epochs."""
        return self.epochs is not None and epoch - self._best() >= self.epochs

    def _best(self) -> int:
        best = self.keeper.best
        return max(self.since, 0 if best is None else best["epoch"])


class Stopwatch(keras.callbacks.Callback):
    """Measures how long a training takes, over all its processes."""

    def __init__(self):
        super().__init__()
        self._seconds, self._start = 0.0, time.perf_counter()

    def get_state(self) -> float:
        """What `bptt_keras.callbacks.Resume` saves: the seconds so far."""
        return self.seconds

    def set_state(self, state: float) -> None:
        """Adds the time before an interruption."""
        self._seconds = state

    @property
    def seconds(self) -> float:
        """Seconds so far."""
        return self._seconds + time.perf_counter() - self._start


def validation(metric: Metric, logs: dict) -> float:
    """The value of a `Metric` on the validation part, from the logs of an epoch."""
    return metric.factor * float(logs[f"val_{metric.log}"])


def is_improving(values: list[float], metric: Metric) -> bool:
    """Whether a training was still improving when it ended.

    The last tenth of the epochs, at least one, must have brought more than a fiftieth
    of the whole gain since the first.

    Args:
        values: The validation metric after each epoch, up to a constant factor.
        metric: The `Metric`.
    """
    sign = 1 if metric.higher else -1
    gains = [sign * value for value in values if math.isfinite(value)]
    recent = max(1, len(gains) // 10)
    if len(gains) < 2:
        return False
    before, best = max(gains[:-recent]), max(gains)
    return best - before > 0.02 * (best - min(gains)) > 0
