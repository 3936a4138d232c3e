"""One training of a trial: it goes on after a kill, and its result is kept."""

import json
import math
import os
import random
import shutil

import keras
import numpy as np
from keras_tuner.errors import FailedTrialError

from bptt_keras.tuning.store import replace_durably

_WEIGHTS, _STATE, _BUILD = "trainer.weights.h5", "state.json", "build.json"
_PLAIN = bool | int | float | str | type(None)


class Execution:
    """One training of a trial, from its checkpoint if there is one.

    Args:
        folder: Its own; created.
        objective: `keras_tuner.Objective`.
        progress: `Progress` of the trial.
        seed: Of weights, dropout and order.
        reports: Whether its epochs are the trial's curve.
    """

    def __init__(self, folder, objective, progress, seed, *, reports):
        self.folder = folder
        self.objective = objective
        self.progress = progress
        self.seed = seed
        self.reports = reports
        self.folder.mkdir(parents=True, exist_ok=True)

    def result(self):
        """The metrics of an execution that is done, or `None`."""
        try:
            return json.loads((self.folder / "result.json").read_text("utf-8"))
        except (FileNotFoundError, ValueError):
            return None

    def done(self, metrics):
        """Keeps the metrics."""
        plain = {name: float(value) for name, value in metrics.items()}
        replace_durably(self.folder / "result.json", json.dumps(plain))

    @property
    def checkpoint(self):
        """Folder of the checkpoint."""
        return self.folder / "checkpoint"

    def begin_from(self, other):
        """Begins where another execution stands, if this one has not begun."""
        if other.checkpoint.is_dir() and not self.checkpoint.is_dir():
            with _new_folder(self.checkpoint) as new:
                shutil.copytree(other.checkpoint, new, dirs_exist_ok=True)


class Checkpoint(keras.callbacks.Callback):
    """Writes where a training stands after each epoch, and reports the objective.

    With the weights: the optimizer, the seeds of dropout, Python's and NumPy's random
    numbers, the history, and the plain numbers of the other callbacks, such as the
    patience that is left. It stands last among the callbacks.

    Args:
        execution: `Execution`.
        best: Path of the weights of the best epoch.
        callbacks: The other callbacks.
    """

    def __init__(self, execution, best, callbacks):
        super().__init__()
        self._execution = execution
        self._best = best
        self._callbacks = callbacks
        self._restored = None
        self.history = []

    def restore(self, model):
        """Puts a model where the checkpoint stands.

        Returns:
            Epochs that are done; 0 without a checkpoint.
        """
        folder = self._execution.checkpoint
        _put_back(folder)
        if not (folder / _STATE).is_file():
            return 0
        state = json.loads((folder / _STATE).read_text("utf-8"))
        restore_model(model, folder / _WEIGHTS, folder / _BUILD)
        for seed, value in zip(_seeds(model), state["seeds"], strict=True):
            seed.assign(value)
        kind, words, position = state["python_random"]
        random.setstate((kind, tuple(words), position))
        name, words, *rest = state["numpy_random"]
        np.random.set_state((name, np.array(words, np.uint32), *rest))
        self.history = state["history"]
        self._restored = state["callbacks"]
        self._execution.progress.goes_on_after(state["seconds"])
        return len(self.history)

    @property
    def values(self):
        """The objective after each epoch."""
        return [self._execution.objective.get_value(logs) for logs in self.history]

    def on_train_begin(self, logs=None):
        """Gives the other callbacks back what they knew."""
        for callback, known in zip(self._callbacks, self._restored or (), strict=False):
            vars(callback).update(known)

    def on_epoch_end(self, epoch, logs=None):
        """Writes the checkpoint, and the weights if they are the best."""
        logs = {name: float(value) for name, value in logs.items()}
        objective = self._execution.objective
        if not objective.has_value(logs):
            self._write(epoch, logs)
            return
        value = objective.get_value(logs)
        if not math.isfinite(value) or not math.isfinite(logs.get("loss", 0.0)):
            raise FailedTrialError(f"the loss is not a number in epoch {epoch + 1}")
        earlier = self.values
        self._write(epoch, logs)
        if all(objective.better_than(value, before) for before in earlier):
            keep_weights(self.model, self._best)
        if self._execution.reports:
            self._execution.progress.epoch([*earlier, value])

    def _write(self, epoch, logs):
        self.history = [*self.history[:epoch], logs]
        python, numpy = random.getstate(), np.random.get_state()
        state = {
            "history": self.history,
            "seeds": [seed.numpy().tolist() for seed in _seeds(self.model)],
            "python_random": python,
            "numpy_random": [numpy[0], numpy[1].tolist(), *numpy[2:]],
            "callbacks": [_plain_state(callback) for callback in self._callbacks],
            "seconds": self._execution.progress.seconds,
        }
        with _new_folder(self._execution.checkpoint) as new:
            save_model(self.model, new)
            (new / _STATE).write_text(json.dumps(state), "utf-8")


def save_model(model, folder):
    """Writes weights, optimizer, and how to build a model that has no input."""
    model.save_weights(folder / _WEIGHTS)
    build = json.dumps(model.get_build_config())
    (folder / _BUILD).write_text(build, "utf-8")


def restore_model(model, weights, build):
    """Reads weights and optimizer into a model that is built first if needed.

    Args:
        model: `keras.Model`.
        weights: Path that `save_weights` wrote.
        build: Path of the model's `get_build_config`.
    """
    config = json.loads(build.read_text("utf-8"))
    if config and not model.weights:
        model.build_from_config(config)
    if model.optimizer is not None and not model.optimizer.built:
        model.optimizer.build(model.trainable_variables)
    model.load_weights(weights)


def keep_weights(model, path):
    """Writes the weights of the best epoch, and how to build the model, whole."""
    new = path.with_name(f"new.{path.name}")
    model.save_weights(new)
    os.replace(new, path)
    build = path.with_name("build_config.json")
    replace_durably(build, json.dumps(model.get_build_config()))


class _new_folder:
    """A folder that takes its place whole: the old one, or the new one, is there."""

    def __init__(self, path):
        self._path = path
        self._new = path.with_name(f"new.{path.name}")
        self._old = path.with_name(f"old.{path.name}")

    def __enter__(self):
        _put_back(self._path)
        for left in (self._new, self._old):
            shutil.rmtree(left, ignore_errors=True)
        self._new.mkdir(parents=True)
        return self._new

    def __exit__(self, kind, *_):
        if kind is None:
            if self._path.exists():
                os.replace(self._path, self._old)
            os.replace(self._new, self._path)
            shutil.rmtree(self._old, ignore_errors=True)
        else:
            shutil.rmtree(self._new, ignore_errors=True)


def _put_back(path):
    """The folder as it was before a kill between the two renames."""
    old = path.with_name(f"old.{path.name}")
    if old.exists() and not path.exists():
        os.replace(old, path)


def _seeds(model):
    """Where dropout's random numbers stand; Keras saves them with no weights."""
    return [v for v in model.variables if v.path.endswith("seed_generator_state")]


def _plain_state(callback):
    """What of a callback is numbers and texts: patience, the best so far."""
    return {
        name: value
        for name, value in vars(callback).items()
        if isinstance(value, _PLAIN) and not name.startswith("__")
    }
