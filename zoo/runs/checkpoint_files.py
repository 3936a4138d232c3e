"""The folder of a training from which it resumes, without TensorFlow.

`checkpoint/` holds what `bptt_keras.callbacks.Resume` saves, and what training it is:
`training.json` and, should that be damaged, its copy.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from zoo.system import limits
from zoo.system.errors import UserError
from zoo.system.files import write_json
from zoo.system.reading import read_json

CHECKPOINT = "checkpoint"
TRAINING, COPY = "training.json", "training-copy.json"
HISTORY = "history.json"  # of the epochs, beside the checkpoint
_DIGEST = "sha256"


def write_training(folder: Path, training: dict[str, Any]) -> None:
    """Writes what training a checkpoint is of.

    Args:
        folder: The checkpoint's folder; it is created.
        training: Values for JSON.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for name in (TRAINING, COPY):
        write_json(folder / name, {_DIGEST: _digest(training), **training})


def read_training(run_folder: str | Path) -> tuple[dict[str, Any], list[str]]:
    """Reads what training a folder holds.

    Args:
        run_folder: The `--out` folder of the training.

    Returns:
        `(training, remarks)`: what was written; and a sentence if a file of it is
        damaged.

    Raises:
        UserError: If there is no training, or both files are damaged.
    """
    folder = Path(run_folder) / CHECKPOINT
    if not any((folder / name).exists() for name in (TRAINING, COPY)):
        raise UserError(
            f"There is nothing to resume in {run_folder}: a training writes a "
            f"checkpoint when it begins."
        )
    try:
        return _read(folder / TRAINING), []
    except ValueError as error:
        fault = f"{folder / TRAINING} is damaged: {error}."
    try:
        return _read(folder / COPY), [f"{fault} Its copy is used."]
    except ValueError:
        raise UserError(f"{fault} So is its copy.") from None


def epochs_done(run_folder: str | Path) -> int:
    """The number of completed epochs, by the history of a training.

    Args:
        run_folder: The `--out` folder of the training.
    """
    try:
        epochs = read_json(Path(run_folder) / HISTORY, at_most=limits.CHECKPOINT)
        return int(epochs["epoch"][-1])
    except (IndexError, KeyError, TypeError, UserError, ValueError):
        return 0


def _read(path: Path) -> dict[str, Any]:
    try:
        training = read_json(path, at_most=limits.CHECKPOINT)
    except UserError:
        raise ValueError("it is missing or cannot be read") from None
    if not isinstance(training, dict) or training.pop(_DIGEST, "") != _digest(training):
        raise ValueError("it is not what was written")
    # Put off: pydantic takes 0.1 s to import, and few commands read JSON.
    from zoo.store.json_models import TrainingOfRun
    from zoo.system.validation import validate

    # The digest only tells of accidents: who changes a file can change it, too.
    validate(TrainingOfRun, training)
    return training


def _digest(training: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(training, sort_keys=True).encode()).hexdigest()
