"""One training of a trial: it goes on after a kill, and its result is kept."""

import json
import math
import os
import random
import shutil

import keras
import numpy as np
from keras_tuner.errors import FailedTrialError, FatalValueError

from bptt_keras.keras_internals import callback_state, is_seed, restore_callback
from bptt_keras.tuning.jobs.store import replace_durably

_WEIGHTS, _STATE, _BUILD = "trainer.weights.h5", "state.json", "build.json"


class Execution:
    """One training of a trial, from its checkpoint if there is one.

    Args:
        folder: Its own; created.
        objective: `keras_tuner.Objective`.
        progress: `Progress` of the trial.
        seed: Of weights, dropout and order.
        reports: Whether its epochs are the trial's curve.
        earlier: Objective of each execution of the trial that is done. The weights
            of the best of all are kept.
    """

    def __init__(self, folder, objective, progress, seed, *, reports, earlier=()):
        self.folder = folder
        self.objective = objective
        self.progress = progress
        self.seed = seed
        self.reports = reports
        self.earlier = list(earlier)
        self.folder.mkdir(parents=True, exist_ok=True)
        _put_back(self.checkpoint)

    def result(self):
        """The metrics of an execution that is done, or `None`."""
        try:
            result = json.loads((self.folder / "result.json").read_text("utf-8"))
            metrics, curve = result["metrics"], result["curve"]
        except (FileNotFoundError, ValueError, TypeError, KeyError):
            return None
        if self.reports and curve:
            # It may be longer than what the job has kept.
            self.progress.tell(curve)
        return metrics

    def done(self, metrics):
        """Keeps the metrics, and the trial's curve."""
        plain = {name: float(value) for name, value in metrics.items()}
        result = {"metrics": plain, "curve": self.progress.curve}
        replace_durably(self.folder / "result.json", json.dumps(result))

    @property
    def checkpoint(self):
        """Folder of the checkpoint."""
        return self.folder / "checkpoint"

    def begin_from(self, other):
        """Begins where another execution stands, if this one has not begun."""
        if other.checkpoint.is_dir() and not self.checkpoint.is_dir():
            with _new_folder(self.checkpoint) as new:
                shutil.copytree(other.checkpoint, new, dirs_exist_ok=True)
                known = new / _STATE
                if known.is_file():
                    state = json.loads(known.read_text("utf-8"))
                    # That it ended early there says nothing of how long it is now.
                    known.write_text(json.dumps({**state, "stopped": False}), "utf-8")


class Checkpoint(keras.callbacks.Callback):
    """Writes where a training stands after each epoch, and reports the objective.

    With the weights: the optimizer, the seeds of dropout, Python's and NumPy's random
    numbers, the history, and the plain numbers of the other callbacks, such as the
    patience that is left. It stands last among the callbacks.

    Args:
        execution: `Execution`.
        best: Path of the weights of the best epoch.
        callbacks: The other callbacks.
        logged: Whether the objective must be in the logs.

    Attributes:
        stopped: Whether the training that is restored had ended before its last epoch.
    """

    def __init__(self, execution, best, callbacks, *, logged=True):
        super().__init__()
        self._execution = execution
        self._best = best
        self._callbacks = callbacks
        self._logged = logged
        self._restored = ()
        self.history, self.stopped = [], False

    def restore(self, model):
        """Puts a model where the checkpoint stands.

        Returns:
            Epochs that are done; 0 without a checkpoint.
        """
        folder = self._execution.checkpoint
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
        self._restored, self.stopped = state["callbacks"], state["stopped"]
        self._execution.progress.goes_on_after(state["seconds"])
        return len(self.history)

    @property
    def values(self):
        """The objective after each epoch, not a number where none was logged."""
        objective = self._execution.objective
        return [
            objective.get_value(logs) if objective.has_value(logs) else math.nan
            for logs in self.history
        ]

    def on_train_begin(self, logs=None):
        """Gives the other callbacks back what they knew."""
        for callback, (kind, known) in zip(
            self._callbacks, self._restored, strict=False
        ):
            if kind == type(callback).__name__:
                restore_callback(callback, known)

    def on_epoch_end(self, epoch, logs=None):
        """Writes the checkpoint, and the weights if they are the best."""
        logs = {name: float(value) for name, value in logs.items()}
        objective = self._execution.objective
        if objective.has_value(logs):
            value = objective.get_value(logs)
            if not math.isfinite(value + logs.get("loss", 0.0)):
                raise FailedTrialError(f"the loss is not a number in epoch {epoch + 1}")
            best = self._is_best(value)
        else:
            if self._logged:
                refuse_unlogged(objective, logs)
            # What it is, `fit` says at its end, or a later epoch.
            best = not self._logged
        if best:
            # First, so that a kill finds no checkpoint whose best weights are missing.
            keep_weights(self.model, self._best)
        self._write(epoch, logs)
        if self._execution.reports:
            self._execution.progress.epoch(self.values)

    def _is_best(self, value):
        before = [*self._execution.earlier, *self.values]
        better = self._execution.objective.better_than
        return all(better(value, old) for old in before if math.isfinite(old))

    def _write(self, epoch, logs):
        self.history = [*self.history[:epoch], logs]
        python, numpy = random.getstate(), np.random.get_state()
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


def copy_weights(path, to):
    """Keeps the weights of another trial's best epoch as this one's."""
    to.parent.mkdir(parents=True, exist_ok=True)
    for name in ("build_config.json", path.name):
        new = to.with_name(f"new.{name}")
        shutil.copyfile(path.with_name(name), new)
        os.replace(new, to.with_name(name))


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
    return [v for v in model.variables if is_seed(v)]


def refuse_unlogged(objective, logs):
    """Refuses an objective that no epoch of any trial will log.

    Args:
        objective: `keras_tuner.Objective`.
        logs: Of an epoch.

    Raises:
        FatalValueError: Names it, and what is logged. Not if it is of the validation,
            and this epoch has none.
    """
    validated = any(name.startswith("val_") for name in logs)
    missing = [
        name
        for name in names_of(objective)
        if name not in logs
        and (validated or not (name[:4] == "val_" and name[4:] in logs))
    ]
    if missing:
        raise FatalValueError(
            f"The objective {' and '.join(missing)} is not in the logs. They have "
            f"{', '.join(logs)}. Choose one of these, or compile the model with such a "
            "metric."
        )


def names_of(objective):
    """The names that an objective, or several, have in logs."""
    known = getattr(objective, "name_to_direction", None)
    return list(known) if known else [objective.name]
