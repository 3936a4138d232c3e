"""The files of a preset folder, where it is, and its metadata."""

from __future__ import annotations

import os
from pathlib import Path

from zoo.plain.json_values import is_number, require_plain
from zoo.plain.parts import PARTS
from zoo.system import limits
from zoo.system.errors import UserError
from zoo.system.folders import whole_folder
from zoo.system.reading import read_json as read_any_json

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
    """Looks at what commands rely on.

    Raises:
        ValueError: Says what is wrong.
    """
    try:
        _check(metadata)
    except KeyError as error:
        raise ValueError(f"{error} is missing") from None
    except (AttributeError, TypeError) as error:
        raise ValueError(str(error)) from None


def _check(metadata: dict) -> None:
    def require(holds, what):
        if not holds:
            raise ValueError(f"{what} is not what it must be")

    require_plain(metadata)
    # Which task and what recipe there may be, `zoo.store.check` knows.
    for key in ("task", "recipe"):
        if key not in metadata:
            raise KeyError(key)
    metric = metadata["metric"]
    for key in ("name", "unit", "part"):
        require(isinstance(metric[key], str), f"metric: {key}")
    require(metric["part"] in PARTS, "metric: part")
    require(is_number(metric["value"]), "metric: value")
    require(isinstance(metadata["data"]["name"], str), "data: name")
    for key in ("parameters", "wall_time_seconds"):
        require(is_number(metadata[key]), key)
    for key in ("baselines", "references"):
        require(all(map(is_number, metadata[key].values())), key)
    require(all(map(is_number, metadata.get("seeds", {}).values())), "seeds")
    require(isinstance(metadata["versions"], dict), "versions")
    require(is_number(metadata.get("stopped_after", 1)), "stopped_after")
    require(isinstance(metadata.get("machine", ""), str), "machine")
    for key in ("epoch", "validation"):
        require(is_number(metric.get(key, 1)), f"metric: {key}")


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
