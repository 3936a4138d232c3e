"""The files of a preset folder, where it is, and its metadata."""

from __future__ import annotations

import os
from pathlib import Path

from zoo.system import limits
from zoo.system.errors import UserError
from zoo.system.folders import whole_folder
from zoo.system.reading import read_json as read_any_json
from zoo.system.reading import require_plain

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
CARD = "README.md"


def find_preset(folder: str | os.PathLike) -> Path:
    """The preset folder that a path means.

    Raises:
        UserError: If neither `folder` nor `folder/preset` has a `config.json`.
    """
    for path in (Path(folder), whole_folder(Path(folder) / "preset")):
        if (path / CONFIG).is_file():
            return path
    raise UserError(
        f"There is no preset in {folder}: it must be a folder that has {CONFIG}, or "
        "the --out folder of a training run."
    )


def read_metadata(folder: str | os.PathLike) -> dict:
    """The metadata of a preset, read without TensorFlow and without the tasks.

    Returns:
        What `metadata.json` holds: with a task, its recipe, a metric, data with a name,
        and the numbers that a card shows. Whether the task is here,
        `zoo.store.check.read_known_metadata` says.

    Raises:
        UserError: If there is no preset, or its metadata are not of this kind.
    """
    path = find_preset(folder) / METADATA
    metadata = read_json(path)
    try:
        check_metadata(metadata)
    except ValueError as error:
        raise UserError(f"The preset file {path} is damaged: {error}.") from None
    return metadata


def check_metadata(metadata: dict) -> None:
    """Checks what commands rely on.

    Raises:
        ValueError: Says what is wrong.
    """
    # Put off: pydantic takes 0.1 s, and what reads no JSON does without.
    from zoo.store.json_models import Metadata
    from zoo.system.validation import hold

    require_plain(metadata)
    # Which task and what recipe there may be, `zoo.store.check` knows.
    hold(Metadata, metadata)


def read_json(path: Path, *, at_most: int = limits.METADATA) -> dict:
    """A JSON object of a preset.

    Args:
        path: The file.
        at_most: Bytes that it may have.

    Raises:
        UserError: If the file is missing, too large, or holds something else.
    """
    value = read_any_json(path, at_most=at_most, what="The preset file")
    if not isinstance(value, dict):
        raise UserError(f"The preset file {path} is damaged: it is not a JSON object.")
    return value
