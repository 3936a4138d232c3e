"""A training as a trial of a job: no preset, no plots, no look at the test part."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import keras
from keras_tuner.errors import FailedTrialError

import bptt_keras as bk
from zoo.recipes.recipe import Training
from zoo.runs.monitoring import Derived, Patience
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

    def train(self, until: int) -> float | None:
        """Trains up to an epoch, from the checkpoint if there is one.

        Args:
            until: Number of completed epochs after which to stop.

        Returns:
            The validation metric of the best epoch.

        Raises:
            FailedTrialError: If the loss becomes NaN or infinite.
        """
        task, data, recipe = self.task, self.data, self.recipe
        checkpoint, epoch = self.restored()
        patience = Patience(recipe.patience, self.keeper)
        if epoch:
            self._progress.goes_on_after(self.seconds)
            # The process may have been killed after the checkpoint but before its
            # report.
            self.report()
        if epoch < until and not patience.is_used_up(epoch):
            self.trainer.fit(
                task.training(data, recipe, epoch),
                validation_data=task.held_out(data, recipe, "validation"),
                initial_epoch=epoch,
                epochs=until,
                shuffle=False,
                verbose=0,
                callbacks=[
                    bk.tuning.WatchedTrial(self._progress),
                    Derived(task.METRIC),
                    self.recorder,
                    self.keeper,
                    patience,
                    *task.build_callbacks(recipe, self.recorder.history),
                    checkpoint,
                    _Reporting(self),
                    keras.callbacks.TerminateOnNaN(),
                ],
                **task.fit_options(data, recipe),
            )
        return self._value()

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
        history = self.recorder.history
        if not math.isfinite(history["loss"][-1] + history["val_loss"][-1]):
            raise FailedTrialError(
                f"the loss is not a number in epoch {history['epoch'][-1]}"
            )
        return self.keeper.value


class _Reporting(keras.callbacks.Callback):
    def __init__(self, run: TrialRun):
        super().__init__()
        self._run = run

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._run.report()


def failed(error: Exception) -> FailedTrialError:
    """Converts an error of the zoo, such as a window that is too long, to a failure."""
    return FailedTrialError(" ".join(str(error).split()))
