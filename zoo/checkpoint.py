"""Where a training stands after each epoch, so that it can go on after a kill."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import keras

from zoo.errors import UserError
from zoo.files import new_folder, write_json

CHECKPOINT = "checkpoint"
WEIGHTS, STATE = "trainer.weights.h5", "state.json"


class Checkpoint(keras.callbacks.Callback):
    """Writes weights, optimizer and history after each epoch, and reads them back.

    The folder on disk is always complete. With the data's order fixed by seed and
    epoch, and the seeds of dropout kept, a training that goes on from it ends as it
    would have ended.

    Args:
        folder: The checkpoint's folder.
        run: The `Run`.
    """

    def __init__(self, folder: Path, run):
        super().__init__()
        self.folder = Path(folder)
        self.run = run

    def on_epoch_end(self, epoch, logs=None):
        """Writes the checkpoint."""
        run = self.run
        state = {
            "origin": run.origin,
            "recipe": dataclasses.asdict(run.recipe),
            "epoch": epoch + 1,
            "history": run.recorder.history,
            "grad_norms": run.recorder.grad_norms,
            "best": run.keeper.best,
            "seeds": [seed.numpy().tolist() for seed in _seeds(run.model)],
            "seconds": run.seconds,
        }
        with new_folder(self.folder) as new:
            run.trainer.save_weights(new / WEIGHTS)
            write_json(new / STATE, state)

    def restore(self) -> int:
        """Puts the run where the checkpoint stands.

        Returns:
            Epochs that are done; 0 if there is no checkpoint.
        """
        if not (self.folder / STATE).is_file():
            return 0
        state = read_state(self.folder.parent)
        run = self.run
        run.trainer.optimizer.build(run.model.trainable_variables)
        run.trainer.load_weights(self.folder / WEIGHTS)
        for seed, value in zip(_seeds(run.model), state["seeds"], strict=True):
            seed.assign(value)
        run.recorder.restore(state["history"], state["grad_norms"])
        run.keeper.best = state["best"]
        run.took(state["seconds"])
        return state["epoch"]


def _seeds(model):
    """Where dropout's random numbers stand; Keras saves them with no weights."""
    return [v for v in model.variables if v.path.endswith("seed_generator_state")]


def read_state(run_folder: Path) -> dict:
    """What `state.json` of a run's checkpoint says.

    Raises:
        UserError: If the run has no checkpoint, or it is damaged.
    """
    path = Path(run_folder) / CHECKPOINT / STATE
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(
            f"There is nothing to resume in {run_folder}: a checkpoint is written "
            "after each epoch, and removed when the training has ended."
        ) from None
    except (OSError, ValueError) as error:
        raise UserError(f"The checkpoint {path} is damaged: {error}") from None
