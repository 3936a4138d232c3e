"""Finds and checks the files of a checkpoint, without TensorFlow.

`checkpoint/` is the newest, `checkpoint-before/` that of the epoch before. Each has a
`checksums.json`, which reveals a flipped bit in any file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from zoo.plain.changes import differences
from zoo.store.manifest import sha256_of
from zoo.system import limits
from zoo.system.errors import UserError
from zoo.system.folders import recover_folder
from zoo.system.reading import read_json

CHECKPOINT, BEFORE = "checkpoint", "checkpoint-before"
WEIGHTS, STATE, CHECKSUMS = "trainer.weights.h5", "state.json", "checksums.json"


def read_checkpoint(run_folder: str | Path) -> tuple[dict, list[str]]:
    """Reads the newest intact checkpoint of a training.

    Args:
        run_folder: The `--out` folder of the training.

    Returns:
        `(state, remarks)`: the content of its `state.json` with its `folder`; and
        sentences that say what was wrong with a newer one.

    Raises:
        UserError: If there is no checkpoint, or none is intact.
    """
    run_folder = Path(run_folder)
    newest = recover_folder(run_folder / CHECKPOINT)
    before = run_folder / BEFORE
    if not newest.is_dir() and not before.is_dir():
        raise UserError(
            f"There is nothing to resume in {run_folder}: a checkpoint is written "
            "after each epoch of a training."
        )
    try:
        return {**_read(newest), "folder": str(newest)}, []
    except ValueError as error:
        fault = str(error)
    try:
        state = _read(before)
    except ValueError:
        raise UserError(
            f"The checkpoint {newest} is damaged ({fault}), and there is no whole one "
            "before it."
        ) from None
    fault += _changed_recipe(newest, state)
    remark = (
        f"The checkpoint {newest} is damaged ({fault}). The one before it is used, of "
        f"epoch {state['epoch']}."
    )
    return {**state, "folder": str(before)}, [remark]


def _read(folder: Path) -> dict:
    """The state of an intact checkpoint.

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


def _json(path: Path) -> Any:
    try:
        return read_json(path, at_most=limits.CHECKPOINT)
    except UserError:
        raise ValueError(f"{path.name} is missing or cannot be read") from None


def _changed_recipe(newest: Path, state: dict) -> str:
    """Describes what was changed in the recipe of a checkpoint, in words."""
    try:
        changed = differences(state["recipe"], _json(newest / STATE)["recipe"])
    except (KeyError, TypeError, ValueError):
        return ""
    return f"; recipe: {'; '.join(changed)}" if changed else ""
