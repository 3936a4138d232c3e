"""Saves the state of a training after each epoch, to resume after a kill."""

from __future__ import annotations

import dataclasses
import json
import math
from pathlib import Path
from typing import Any, Protocol

import keras

from zoo.layers.keras_internals import is_seed
from zoo.models.weights import save_weights
from zoo.plain.changes import differences
from zoo.recipes.recipe import Training
from zoo.runs.checkpoint_files import BEFORE, CHECKSUMS, STATE, WEIGHTS
from zoo.runs.fingerprint import digest
from zoo.runs.monitoring import KeepBest, Recorder
from zoo.store.manifest import sha256_of
from zoo.system.errors import UserError
from zoo.system.files import write_json
from zoo.system.folders import new_folder


class Resumable(Protocol):
    """The parts of a run that a checkpoint saves and restores."""

    data: Any
    facts: dict[str, Any]
    keeper: KeepBest
    model: keras.Model
    origin: dict[str, Any]
    patient_since: int
    recipe: Training
    recorder: Recorder
    trainer: Any

    @property
    def seconds(self) -> float:
        """Training time so far."""

    def resume_clock(self, seconds: float) -> None:
        """Sets the training time before the run was killed."""


class Checkpoint(keras.callbacks.Callback):
    """Saves weights, optimizer and history after each epoch, and restores them.

    The folder on disk is always complete, and the previous one is kept beside it. The
    order of the data is fixed by seed and epoch, and the seeds of dropout are saved, so
    a training that resumes ends with the same result as an uninterrupted one.

    Args:
        folder: The checkpoint's folder.
        run: The `Run`, or any other `Resumable`.
    """

    def __init__(self, folder: Path, run: Resumable):
        super().__init__()
        self.folder = Path(folder)
        self.run = run
        self._digest: str | None = None

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Writes the checkpoint, unless the loss is not finite."""
        run = self.run
        if not all(math.isfinite(logs[k]) for k in ("loss", "val_loss") if k in logs):
            return
        state = {
            "origin": run.origin,
            "recipe": dataclasses.asdict(run.recipe),
            "data": self._data(),
            "epoch": epoch + 1,
            "patient_since": run.patient_since,
            "history": run.recorder.history,
            "grad_norms": run.recorder.grad_norms,
            "best": run.keeper.best,
            "seeds": [seed.numpy().tolist() for seed in _seeds(run.model)],
            "seconds": run.seconds,
        }
        with new_folder(self.folder, keep=self.folder.with_name(BEFORE)) as new:
            save_weights(run.trainer, new / WEIGHTS)
            write_json(new / STATE, state)
            sums = {name: sha256_of(new / name) for name in (STATE, WEIGHTS)}
            write_json(new / CHECKSUMS, sums)

    def restore(self, state: dict) -> int:
        """Restores the run from a checkpoint.

        Args:
            state: What `zoo.runs.checkpoint_files.read_checkpoint` returned.

        Returns:
            Number of completed epochs.

        Raises:
            UserError: If it was written with different data or by a different model.
        """
        run, folder = self.run, Path(state["folder"])
        self._refuse_other_data(state["data"])
        run.trainer.optimizer.build(run.model.trainable_variables)
        try:
            run.trainer.load_weights(folder / WEIGHTS)
            for seed, value in zip(_seeds(run.model), state["seeds"], strict=True):
                seed.assign(value)
        except (KeyError, OSError, TypeError, ValueError) as error:
            raise UserError(
                f"The checkpoint {folder} is not one of this model: "
                f"{' '.join(str(error).split())}"
            ) from None
        run.recorder.restore(state["history"], state["grad_norms"])
        run.keeper.best = state["best"]
        run.patient_since = max(run.patient_since, state["patient_since"])
        run.resume_clock(state["seconds"])
        return state["epoch"]

    def _data(self) -> dict[str, Any]:
        if self._digest is None:
            self._digest = digest(self.run.data)
        return {"sha256": self._digest, "facts": self.run.facts["data"]}

    def _refuse_other_data(self, before: dict) -> None:
        now = json.loads(json.dumps(self._data()))
        if before["sha256"] == now["sha256"]:
            return
        changed = differences(before["facts"], now["facts"])
        what = "; ".join(changed) or "the same sizes, but other values"
        raise UserError(
            f"The training in {self.folder.parent} was begun with other data: {what}. "
            "Put the old data back, or begin a new training."
        )


def _seeds(model: keras.Model) -> list[Any]:
    """The state of dropout's seed generators; Keras does not save it as weights."""
    return [v for v in model.variables if is_seed(v)]
