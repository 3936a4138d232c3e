"""The files of a checkpoint, found and checked without TensorFlow.

`checkpoint/` is the newest one, `checkpoint-before/` that of the epoch before. Each has
`checksums.json`, which a flipped bit anywhere contradicts.
"""

from __future__ import annotations

import json
from pathlib import Path

from zoo.changes import differences
from zoo.errors import UserError
from zoo.files import recover_folder
from zoo.manifest import sha256_of

CHECKPOINT, BEFORE = "checkpoint", "checkpoint-before"
WEIGHTS, STATE, CHECKSUMS = "trainer.weights.h5", "state.json", "checksums.json"
# Bytes of a JSON file: a history of many epochs, the gradient norm of each batch.
LARGEST = 400 * 10**6


def read_checkpoint(run_folder: str | Path) -> tuple[dict, list[str]]:
    """The newest checkpoint of a training that is whole.

    Args:
        run_folder: The `--out` folder of the training.

    Returns:
        `(state, remarks)`: what its `state.json` says, with its `folder`; and what was
        wrong with a newer one, in sentences.

    Raises:
        UserError: If there is no checkpoint, or none is whole.
    """
    run_folder = Path(run_folder)
    newest = recover_folder(run_folder / CHECKPOINT)
    before = run_folder / BEFORE
    if not newest.is_dir() and not before.is_dir():
        raise UserError(
            f"There is nothing to resume in {run_folder}: a checkpoint is written "
            "after each epoch of a training."
        )
    states, faults = {}, []
    for folder in (newest, before):
        try:
            states[folder] = _read(folder)
        except ValueError as error:
            faults.append((folder, str(error)))
    if not states:
        folder, fault = faults[0]
        raise UserError(
            f"The checkpoint {folder} is damaged ({fault}), and there is no whole one "
            "before it."
        )
    folder, state = next(iter(states.items()))
    remarks = []
    if folder == before:
        changed = _changed_recipe(newest, state)
        fault = f"{faults[0][1]}{changed}"
        remarks = [
            f"The checkpoint {newest} is damaged ({fault}). The one before it is used, "
            f"of epoch {state['epoch']}."
        ]
    return {**state, "folder": str(folder)}, remarks


def _read(folder: Path) -> dict:
    """The state of a whole checkpoint.

    Raises:
        ValueError: Says what is wrong with it.
    """
    sums = _json(folder / CHECKSUMS)
    if not isinstance(sums, dict) or set(sums) != {STATE, WEIGHTS}:
        raise ValueError(f"{CHECKSUMS} does not name its files")
    for name, sha256 in sums.items():
        try:
            same = sha256_of(folder / name) == sha256
        except OSError:
            raise ValueError(f"{name} is missing or cannot be read") from None
        if not same:
            raise ValueError(f"{name} is not what was written")
    return _json(folder / STATE)


def _json(path: Path):
    from zoo.reading import read_bytes

    try:
        return json.loads(read_bytes(path, at_most=LARGEST, option="The checkpoint"))
    except (UserError, RecursionError, ValueError):
        raise ValueError(f"{path.name} is missing or cannot be read") from None


def _changed_recipe(newest: Path, state: dict) -> str:
    """What somebody has changed in the recipe of a checkpoint, in words."""
    try:
        changed = differences(state["recipe"], _json(newest / STATE)["recipe"])
    except (KeyError, TypeError, ValueError):
        return ""
    return f"; recipe: {'; '.join(changed)}" if changed else ""
