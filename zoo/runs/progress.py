"""Shows the progress of a training: a line per epoch, and a bar on a terminal."""

from __future__ import annotations

import shutil
import statistics
import sys
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TextIO

import keras

from zoo.plain.scales import SECOND, cells
from zoo.tasks.task import Metric

if TYPE_CHECKING:
    from tqdm import tqdm

# What a line leaves out, in this order, until it fits the terminal.
_OMITTED = ("gradient", "loss", "second", "training", "time")


class Progress(keras.callbacks.Callback):
    """Prints one line per epoch and, on a terminal, a bar while the epoch runs.

    On a narrow terminal lines leave out what matters less. In a file there are no bars,
    and lines are complete.

    Args:
        metric: The task's `Metric`.
        epochs: Epochs of the whole training.
        best: Function that returns the best epoch so far, counted from 1.
    """

    def __init__(self, metric: Metric, epochs: int, best: Callable[[], int | None]):
        super().__init__()
        self.metric = metric
        self.epochs = epochs
        self.best = best
        self._epoch = 0
        self._clock = _Clock(epochs)
        self._bar: tqdm[Any] | None = None

    def get_state(self) -> int:
        """What `bptt_keras.callbacks.Resume` saves: the epoch."""
        return self._epoch

    def set_state(self, state: int) -> None:
        """Starts the clock in the midst of an epoch."""
        self.on_epoch_begin(state)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        """Starts the clock."""
        self._epoch = epoch
        self._name = f"epoch {epoch + 1:>{len(str(self.epochs))}}/{self.epochs}"
        self._clock.begin(epoch, self.params.get("steps"))

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Advances the bar, which appears after the first batch, below the summary."""
        self._clock.tick(batch)
        if self._bar is None and sys.stdout.isatty():
            self._bar = bar(self._name, self._clock.batches, sys.stdout)
            self._bar.update(batch)
        if self._bar is not None:
            # The value comes first: without room, the end is cut off.
            shown = [self._value(logs, ""), self._clock.left()]
            self._bar.set_postfix_str("  ".join(filter(None, shown)), refresh=False)
            self._bar.update()

    def on_test_begin(self, logs: Any = None) -> None:
        """Labels the bar as validation."""
        if self._bar is not None:
            self._bar.set_description_str(f"{self._name}, validation")

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Replaces the bar by a line."""
        self.close()
        took = self._clock.end()
        times = ", ".join(filter(None, [duration(took), self._clock.left()]))
        room = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
        best = self.best() == epoch + 1
        print(_fitting(self._pieces(logs, best, times), room), flush=True)

    def close(self) -> None:
        """Removes the bar, so that nothing is written behind it."""
        if self._bar is not None:
            self._bar.close()
            self._bar = None

    def _pieces(self, logs: dict, best: bool, times: str) -> dict[str, str]:
        """The pieces of an epoch's line, in order."""
        metric, second = self.metric, SECOND.get(self.metric.unit)
        pieces = {
            "name": self._name,
            "training": f"  {metric.name} {self._value(logs, '')}",
            "validation": f"  validation {self._value(logs, 'val_')}",
        }
        if second:
            value = second.of(metric.factor * logs[f"val_{metric.log}"])
            pieces["second"] = f" ({value:.{second.digits}f} {second.name})"
        pieces["best"] = " best" if best else ""
        if metric.log != "loss":
            pieces["loss"] = (
                f"  loss {logs['loss']:.4g}, validation {logs['val_loss']:.4g}"
            )
        if "grad_norm" in logs:
            pieces["gradient"] = f"  gradient norm {logs['grad_norm']:.3g}"
        pieces["time"] = f"  {times}"
        return pieces

    def _value(self, logs: dict, prefix: str) -> str:
        value = self.metric.factor * logs[prefix + self.metric.log]
        return cells(value, self.metric.unit)[0]


class Measuring(keras.callbacks.Callback):
    """Shows a bar on standard error during an evaluation of more than a second.

    Standard output may be read by a program. Without a terminal there is no bar.
    """

    def on_test_begin(self, logs: Any = None) -> None:
        """Creates the bar."""
        watched = sys.stderr.isatty()
        total = self.params.get("steps")
        self._bar = bar("measuring", total, sys.stderr, delay=1) if watched else None

    def on_test_batch_end(self, batch: int, logs: Any = None) -> None:
        """Advances it."""
        if self._bar is not None:
            self._bar.update()

    def on_test_end(self, logs: Any = None) -> None:
        """Removes it."""
        if self._bar is not None:
            self._bar.close()


def bar(
    name: str, total: int | None, stream: TextIO, *, delay: float = 0.0
) -> tqdm[Any]:
    """A tqdm bar as wide as the terminal: `name ███ 3/10, ...`.

    Args:
        name: Text before the bar.
        total: Number of steps, or None.
        stream: Where it is drawn; it is removed at the end.
        delay: Seconds before it appears.
    """
    # tqdm: put off.
    from tqdm import tqdm

    counted = "{desc} {bar} {n_fmt}/{total_fmt}{postfix}"
    return tqdm(
        desc=name,
        total=total,
        file=stream,
        leave=False,
        dynamic_ncols=True,
        delay=delay,
        bar_format="{desc} {n_fmt}{postfix}" if total is None else counted,
    )


def duration(seconds: float) -> str:
    """A duration in words, with at most two units."""
    if seconds < 9.95:
        return f"{seconds:.1f} s"
    minutes, hours = round(seconds / 60), round(seconds / 3600)
    if seconds < 90:
        return f"{seconds:.0f} s"
    if minutes < 90:
        return f"{minutes} min"
    if hours < 48:
        return f"{minutes // 60} h {minutes % 60} min"
    return f"{hours // 24} days {hours % 24} h"


def _fitting(pieces: dict[str, str], room: int | None) -> str:
    """Joins the pieces that fit into `room` characters; None: all of them."""
    for name in _OMITTED:
        if room is None or len("".join(pieces.values())) < room:
            break
        pieces.pop(name, None)
    return "".join(pieces.values())[: None if room is None else room - 1]


class _Clock:
    """Measures epochs and estimates how long the training will take."""

    def __init__(self, epochs: int):
        self.epochs = epochs
        self.batches: int | None = None
        self._took: list[float] = []
        self._is_first = True

    def begin(self, epoch: int, batches: int | None) -> None:
        self._epoch, self._done = epoch, 0
        self._first_batch: int | None = None
        self.batches = batches or self.batches
        self._began = self._first = time.monotonic()

    def tick(self, batch: int) -> None:
        if self._first_batch is None:
            # Before that, the first epoch compiles the model.
            self._first, self._first_batch = time.monotonic(), batch
        self._done = batch + 1

    def end(self) -> float:
        """Seconds of the epoch."""
        now = time.monotonic()
        self.batches = self._done
        if self._is_first and self._took:
            # A later epoch is a better estimate than the first.
            self._took, self._is_first = [], False
        if not self._first_batch:  # A part of an epoch says nothing of a whole one.
            self._took.append(now - (self._first if self._is_first else self._began))
        self._epoch, self._done = self._epoch + 1, 0
        return now - self._began

    def left(self) -> str:
        """The estimated time until the end of the training, or "" if unknown."""
        usual = statistics.fmean(self._took[-10:]) if self._took else None
        # The first epoch of a process also compiles for validation and diagnostics.
        timed = self._done - 1 - (self._first_batch or 0)
        if self._is_first and timed > 0 and self.batches:
            rate = (time.monotonic() - self._first) / timed
            usual = rate * self.batches
        epochs: float = self.epochs - self._epoch
        if usual is None or epochs < 1:
            return ""
        if self.batches:
            epochs -= self._done / self.batches
        return f"{duration(max(epochs, 0.0) * usual)} left"
