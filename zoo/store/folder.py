"""Finds a preset folder and reads its metadata."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from zoo.system import limits
from zoo.system.errors import UserError
from zoo.system.folders import whole_folder
from zoo.system.reading import read_json as read_any_json
from zoo.system.reading import require_plain

CONFIG, METADATA, WEIGHTS = "config.json", "metadata.json", "model.weights.h5"
CARD = "README.md"


def find_preset(folder: str | os.PathLike) -> Path:
    """The preset folder that a path refers to.

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
    """Reads the metadata of a preset, without TensorFlow and without the tasks.

    Returns:
        The content of `metadata.json`: task, recipe, metric, data with a name, and the
        numbers that a card shows. `zoo.store.check.read_known_metadata` also checks
        that the task exists.

    Raises:
        UserError: If there is no preset, or its metadata are invalid.
    """
    path = find_preset(folder) / METADATA
    metadata = read_json(path)
    with damage_named(path):
        check_metadata(metadata)
    return metadata


@contextlib.contextmanager
def damage_named(path: Path) -> Iterator[None]:
    """A context in which a `ValueError` becomes one that calls the file damaged.

    Raises:
        UserError: Names the file, and what is wrong.
    """
    try:
        yield
    except ValueError as error:
        raise UserError(f"The preset file {path} is damaged: {error}.") from None


def check_metadata(metadata: dict) -> None:
    """Checks the metadata that commands rely on.

    Raises:
        ValueError: Says what is wrong.
    """
    # Put off: pydantic takes 0.1 s to import, and few commands read JSON.
    from zoo.store.json_models import Metadata
    from zoo.system.validation import validate

    require_plain(metadata)
    # `zoo.store.check` checks the task and the recipe.
    validate(Metadata, metadata)


def read_json(path: Path, *, at_most: int = limits.METADATA) -> dict:
    """Reads a JSON object of a preset.

    Args:
        path: The file.
        at_most: Maximum size in bytes.

    Raises:
        UserError: If the file is missing, too large, or holds something else.
    """
    value = read_any_json(path, at_most=at_most, what="The preset file")
    if not isinstance(value, dict):
        raise UserError(f"The preset file {path} is damaged: it is not a JSON object.")
    return value
