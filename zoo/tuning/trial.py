"""A training as a trial of a job: no preset, no plots, no look at the test part."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any

import keras
from keras_tuner.errors import FailedTrialError

import bptt_keras as bk
from zoo.recipes.recipe import Training
from zoo.runs.monitoring import TrainingEnded
from zoo.runs.training import Run
from zoo.tasks.task import Task


class TrialRun(Run):
    """A `Run` that stops after a given epoch, and resumes from there.

    Args:
        task: A `Task`.
        data: What the task loaded.
        recipe: The trial's recipe.
        out: An existing folder.
        progress: The `bptt_keras.tuning.Progress` that receives each epoch.
        reports: Whether its epochs form the trial's curve.
        jit: As in `Run`.
    """

    def __init__(
        self,
        task: Task,
        data: Any,
        recipe: Training,
        out: Path,
        progress: Any,
        *,
        reports: bool,
        jit: str | bool = "auto",
    ):
        super().__init__(task, data, recipe, out, jit=jit)
        self._progress, self._reports = progress, reports
        self.keeper.save = lambda epoch, value: None
        self.print_fn = lambda text: None

    def train_until(self, until: int) -> float | None:
        """Trains up to an epoch, from the checkpoint if there is one.

        Args:
            until: Number of completed epochs after which to stop.

        Returns:
            The validation metric of the best epoch.

        Raises:
            FailedTrialError: If the loss becomes NaN or infinite.
        """
        with contextlib.suppress(TrainingEnded):
            self.train(
                until,
                bk.tuning.WatchedTrial(self._progress),
                self._stopwatch,
                _Reporting(self),
            )
        return self._value()

    def resumed(self) -> None:
        """Reports that the trial goes on, once its state is restored."""
        self._progress.goes_on_after(self.seconds)
        if self.recorder.history["epoch"]:
            # The process may have been killed before its report.
            self.report()

    def values(self) -> list[float]:
        """The validation metric after each epoch."""
        metric = self.task.METRIC
        return [metric.factor * v for v in self.recorder.history[f"val_{metric.log}"]]

    def report(self) -> None:
        """Reports the progress of the training, and stops it if it should end."""
        self._value()
        if self._reports:
            self._progress.epoch(self.values())
        self._progress.check()

    def _value(self) -> float | None:
        if not self.is_finite:
            epoch = self.recorder.history["epoch"][-1]
            raise FailedTrialError(f"the loss is not a number in epoch {epoch}")
        return self.keeper.value


class _Reporting(keras.callbacks.Callback):
    def __init__(self, run: TrialRun):
        super().__init__()
        self._run = run

    def get_state(self) -> None:
        """Nothing: the epochs are in the state of the `Recorder`."""

    def set_state(self, state: None) -> None:
        self._run.resumed()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._run.report()


def failed(error: Exception) -> FailedTrialError:
    """Converts an error of the zoo, such as a window that is too long, to a failure."""
    return FailedTrialError(" ".join(str(error).split()))
