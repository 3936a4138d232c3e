"""The files of a preset folder, and where it is."""

from __future__ import annotations

import json
import os
from pathlib import Path

from zoo.errors import UserError

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
CARD = "README.md"


def find_preset(folder: str | os.PathLike) -> Path:
    """The preset folder that a path means.

    Raises:
        UserError: If neither `folder` nor `folder/preset` has a `config.json`.
    """
    for path in (Path(folder), Path(folder) / "preset"):
        if (path / CONFIG).is_file():
            return path
    raise UserError(
        f"There is no preset in {folder}: it must be a folder that has {CONFIG}, or "
        "the --out folder of a training run."
    )


def task_name(folder: str | os.PathLike) -> str:
    """The task that a preset was trained for, read without TensorFlow.

    Raises:
        UserError: If there is no preset, or it does not say.
    """
    path = find_preset(folder) / METADATA
    name = read_json(path).get("task")
    if not isinstance(name, str):
        raise UserError(f"The preset file {path} is damaged: it names no task.")
    return name


def read_json(path: Path) -> dict:
    """A JSON object of a preset.

    Raises:
        UserError: If the file is missing or holds something else.
    """
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UserError(f"The preset file {path} is missing.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"The preset file {path} is damaged: {error}") from None
    if not isinstance(value, dict):
        raise UserError(f"The preset file {path} is damaged: it is not a JSON object.")
    return value
