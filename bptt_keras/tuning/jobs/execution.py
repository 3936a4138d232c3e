"""One training run of a trial: it resumes after a kill, and its result is kept."""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import keras
import keras_tuner
import numpy as np
from keras_tuner.errors import FailedTrialError

from bptt_keras.files import (
    new_folder,
    read_json,
    recover_folder,
    replacing,
    write_whole,
)
from bptt_keras.keras_internals import callback_state, is_seed, restore_callback
from bptt_keras.tuning.jobs.objective import refuse_unlogged
from bptt_keras.tuning.jobs.progress import Progress

_WEIGHTS, _STATE, _BUILD = "trainer.weights.h5", "state.json", "build.json"


class Execution:
    """One training run of a trial, from its checkpoint if there is one.

    Args:
        folder: Folder of the execution; it is created.
        objective: `keras_tuner.Objective`.
        progress: `Progress` of the trial.
        seed: Seed of weights, dropout and order.
        reports: Whether its epochs make the curve of the trial.
        earlier: Objective of each finished execution of the trial. The weights of the
            best of all are kept.
    """

    def __init__(
        self,
        folder: Path,
        objective: keras_tuner.Objective,
        progress: Progress,
        seed: int,
        *,
        reports: bool,
        earlier: Iterable[float] = (),
    ):
        self.folder = folder
        self.objective = objective
        self.progress = progress
        self.seed = seed
        self.reports = reports
        self.earlier = list(earlier)
        self.folder.mkdir(parents=True, exist_ok=True)
        recover_folder(self.checkpoint)

    def result(self) -> dict[str, float] | None:
        """The metrics of a finished execution, or `None`."""
        try:
            result = read_json(self.folder / "result.json")
            metrics, curve = result["metrics"], [float(v) for v in result["curve"]]
            metrics = {str(name): float(value) for name, value in metrics.items()}
        except (
            OSError,
            ArithmeticError,
            AttributeError,
            LookupError,
            TypeError,
            ValueError,
        ):
            return None
        if self.reports and curve:
            # It may be longer than the curve in the state of the job.
            self.progress.tell(curve)
        return metrics

    def done(self, metrics: dict[str, Any]) -> None:
        """Stores the metrics, and the curve of the trial."""
        plain = {name: float(value) for name, value in metrics.items()}
        result = {"metrics": plain, "curve": self.progress.curve}
        write_whole(self.folder / "result.json", json.dumps(result))

    @property
    def checkpoint(self) -> Path:
        """Folder of the checkpoint."""
        return self.folder / "checkpoint"

    def begin_from(self, other: Execution) -> None:
        """Continues from the checkpoint of another execution, if this one has none."""
        if other.checkpoint.is_dir() and not self.checkpoint.is_dir():
            with new_folder(self.checkpoint) as new:
                shutil.copytree(other.checkpoint, new, dirs_exist_ok=True)
                known = new / _STATE
                if known.is_file():
                    state = read_json(known)
                    # The other execution may have stopped early; this one is longer.
                    known.write_text(json.dumps({**state, "stopped": False}), "utf-8")


class Checkpoint(keras.callbacks.Callback):
    """Writes the state of training after each epoch, and reports the objective.

    The state consists of the weights, the optimizer, the random states of dropout, of
    Python and of NumPy, the history, and the plain numbers of the other callbacks, such
    as the remaining patience. This must be the last of the callbacks.

    Args:
        execution: `Execution`.
        best: Path of the weights of the best epoch.
        callbacks: The other callbacks.
        logged: Whether the objective must be in the logs.

    Attributes:
        stopped: Whether the restored training run had stopped before its last epoch.
    """

    def __init__(
        self,
        execution: Execution,
        best: Path,
        callbacks: Sequence[keras.callbacks.Callback],
        *,
        logged: bool = True,
    ):
        super().__init__()
        self._execution = execution
        self._best = best
        self._callbacks = callbacks
        self._logged = logged
        self._restored: Sequence[tuple[str, dict[str, Any]]] = ()
        self.history: list[dict[str, float]] = []
        self.stopped = False

    def restore(self, model: keras.Model) -> int:
        """Restores a model from the checkpoint.

        Returns:
            Number of finished epochs; 0 without a checkpoint.
        """
        folder = self._execution.checkpoint
        if not (folder / _STATE).is_file():
            return 0
        state = read_json(folder / _STATE)
        restore_model(model, folder / _WEIGHTS, folder / _BUILD)
        for seed, value in zip(_seeds(model), state["seeds"], strict=True):
            seed.assign(value)
        kind, words, position = state["python_random"]
        random.setstate((kind, tuple(words), position))
        name, words, *rest = state["numpy_random"]
        np.random.set_state((name, np.array(words, np.uint32), *rest))
        self.history = state["history"]
        self._restored, self.stopped = state["callbacks"], state["stopped"]
        self._execution.progress.goes_on_after(state["seconds"])
        return len(self.history)

    @property
    def values(self) -> list[float]:
        """The objective after each epoch, NaN where it was not logged."""
        objective = self._execution.objective
        return [
            objective.get_value(logs) if objective.has_value(logs) else math.nan
            for logs in self.history
        ]

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Restores the other callbacks."""
        for callback, (kind, known) in zip(
            self._callbacks, self._restored, strict=False
        ):
            if kind == type(callback).__name__:
                restore_callback(callback, known)

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Writes the checkpoint, and the weights if they are the best."""
        logs = {name: float(value) for name, value in (logs or {}).items()}
        objective = self._execution.objective
        if objective.has_value(logs):
            value = objective.get_value(logs)
            if not math.isfinite(value + logs.get("loss", 0.0)):
                raise FailedTrialError(f"the loss is not a number in epoch {epoch + 1}")
            best = self._is_best(value)
        else:
            if self._logged:
                refuse_unlogged(objective, logs)
            # The return value of `fit`, or a later epoch, has the objective.
            best = not self._logged
        if best:
            # First, so that no kill leaves a checkpoint without its best weights.
            keep_weights(self.model, self._best)
        self._write(epoch, logs)
        if self._execution.reports:
            self._execution.progress.epoch(self.values)

    def _is_best(self, value: float) -> bool:
        before = [*self._execution.earlier, *self.values]
        better = self._execution.objective.better_than
        return all(better(value, old) for old in before if math.isfinite(old))

    def _write(self, epoch: int, logs: dict[str, float]) -> None:
        self.history = [*self.history[:epoch], logs]
        python = random.getstate()
        numpy: Any = np.random.get_state()
        state = {
            "history": self.history,
            "seeds": [seed.numpy().tolist() for seed in _seeds(self.model)],
            "python_random": python,
            "numpy_random": [numpy[0], numpy[1].tolist(), *numpy[2:]],
            "callbacks": [
                (type(callback).__name__, callback_state(callback))
                for callback in self._callbacks
            ],
            "stopped": bool(self.model.stop_training),
            "seconds": self._execution.progress.seconds,
        }
        with new_folder(self._execution.checkpoint) as new:
            save_model(self.model, new)
            (new / _STATE).write_text(json.dumps(state), "utf-8")


def save_model(model: keras.Model, folder: Path) -> None:
    """Writes weights, optimizer, and how to build a model without an `Input`."""
    model.save_weights(folder / _WEIGHTS)
    build = json.dumps(model.get_build_config())
    (folder / _BUILD).write_text(build, "utf-8")


def restore_model(model: keras.Model, weights: Path, build: Path) -> None:
    """Reads weights and optimizer into a model, which is built first if necessary.

    Args:
        model: `keras.Model`.
        weights: Path that `save_weights` wrote.
        build: Path of the model's `get_build_config`.
    """
    config = read_json(build)
    if config and not model.weights:
        model.build_from_config(config)
    if model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    model.load_weights(weights)


def keep_weights(model: keras.Model, path: Path) -> None:
    """Writes the weights of the best epoch, and how to build the model, atomically."""
    with replacing(path) as new:
        model.save_weights(new)
    build = path.with_name("build_config.json")
    write_whole(build, json.dumps(model.get_build_config()))


def copy_weights(path: Path, to: Path) -> None:
    """Copies the weights of the best epoch of another trial to this one."""
    to.parent.mkdir(parents=True, exist_ok=True)
    for name in ("build_config.json", path.name):
        with replacing(to.with_name(name)) as new:
            shutil.copyfile(path.with_name(name), new)


def _seeds(model: keras.Model) -> list[keras.Variable]:
    """The random states of dropout, which Keras does not save with the weights."""
    return [v for v in model.variables if is_seed(v)]
