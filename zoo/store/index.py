"""The index of a release: its presets and their checksums."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path
from typing import Any

from zoo.store.manifest import MANIFEST, Manifest, sha256_of
from zoo.system import limits
from zoo.system.errors import UserError, ZooError
from zoo.system.reading import parse_json

INDEX = "index.json"
FORMAT = 1
LARGEST = limits.INDEX
LONGEST_NAME = 64
_WRONG = "{where} cannot be the {kind} {value}"
# The presets that come with the package, and the index of all its presets.
SHIPPED = Path(__file__).parents[1] / "presets"


@dataclasses.dataclass(frozen=True)
class Listed:
    """The entry of a preset in an index.

    Args:
        name: The name for `from_preset`.
        manifest_sha256: Checksum of its manifest, and so of all its files.
        size: Total size of its files in bytes.
        task: Task that it was trained on.
        data: Name of its data set.
        metric: Name of the metric.
        unit: Its unit, or "".
        part: Part of the data on which it was evaluated.
        value: Value of the metric.
        parameters: Number of weights.
    """

    name: str
    manifest_sha256: str
    size: int
    task: str
    data: str
    metric: str
    unit: str
    part: str
    value: float
    parameters: int

    @property
    def shipped(self) -> bool:
        """Whether its files came with the package."""
        path = SHIPPED / self.name / MANIFEST
        return path.is_file() and sha256_of(path) == self.manifest_sha256


@dataclasses.dataclass(frozen=True)
class Index:
    """Presets by name, and the addresses of a release.

    Args:
        presets: `{name: Listed}`.
        mirrors: Addresses of the release, in the order of trial.
    """

    presets: dict[str, Listed]
    mirrors: tuple[str, ...] = ()


def is_name(value: object) -> bool:
    """Whether a preset may have this name, which a folder and a URL must allow."""
    pattern = r"[a-z0-9]+(?:[._-][a-z0-9]+)*"
    return (
        isinstance(value, str)
        and len(value) <= LONGEST_NAME
        and re.fullmatch(pattern, value) is not None
        # Windows reserves these for devices, whatever follows after a dot.
        and re.fullmatch("con|prn|aux|nul|com[0-9]|lpt[0-9]", value.split(".")[0])
        is None
    )


def require_name(name: str) -> None:
    """Raises `UserError` unless a preset may have this name."""
    if not is_name(name):
        raise UserError(
            "The name of a preset must be small letters and digits, with single dots, "
            f"dashes or underscores between them, at most {LONGEST_NAME} in all, and "
            f"no device of Windows. Received: {name!r}"
        )


def own_index() -> Index:
    """The index that came with the package."""
    path = SHIPPED / INDEX
    return read_index(path.read_bytes(), str(path)) if path.is_file() else Index({})


def list_presets() -> list[Listed]:
    """The presets that `from_preset` knows by name.

    Returns:
        A list of `Listed`, sorted by task and name.

    Example:
        import zoo

        for preset in zoo.list_presets():
            print(preset.name, preset.task, preset.metric, preset.value)
    """
    return sorted(own_index().presets.values(), key=lambda p: (p.task, p.name))


def read_index(content: bytes, origin: str) -> Index:
    """Reads an index from the content of its file.

    Args:
        content: Bytes, which may be untrusted.
        origin: Where they come from, for the error.

    Raises:
        ZooError: If it is not a valid index.
    """
    # Put off: pydantic takes 0.1 s to import, and few commands read JSON.
    from zoo.store import json_models
    from zoo.system.validation import validate

    try:
        value = validate(json_models.Index, parse_json(content), wrong=_WRONG)
        presets = {name: _listed(name, row) for name, row in value.presets.items()}
    except ValueError as error:
        raise ZooError(f"{origin} is no index of presets: {error}.") from None
    return Index(presets, tuple(value.mirrors))


def to_json(index: Index) -> dict:
    """Plain values that `read_index` can read."""
    rows = {}
    for name in sorted(index.presets):
        rows[name] = dataclasses.asdict(index.presets[name])
        del rows[name]["name"]
    return {"format": FORMAT, "mirrors": list(index.mirrors), "presets": rows}


def listed(name: str, metadata: dict, manifest: Manifest) -> Listed:
    """Makes the entry of a preset.

    Args:
        name: Its name.
        metadata: Its metadata.
        manifest: Its `Manifest`.

    Raises:
        UserError: If the name is not allowed, or the metadata are incomplete.
    """
    require_name(name)
    try:
        metric = metadata["metric"]
        row = {
            "manifest_sha256": manifest.sha256,
            "size": manifest.size,
            "task": metadata["task"],
            "data": metadata["data"]["name"],
            "metric": metric["name"],
            "unit": metric["unit"],
            "part": metric["part"],
            "value": metric["value"],
            "parameters": metadata["parameters"],
        }
        return _listed(name, row)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"The metadata of preset {name} lack: {error}.") from None


def _listed(name: str, row: Any) -> Listed:
    # Put off: pydantic takes 0.1 s to import, and few commands read JSON.
    from zoo.store import json_models
    from zoo.system.validation import validate

    validate(json_models.Row, row, wrong=_WRONG)
    if not is_name(name):
        raise ValueError(f"the name {name!r:.100}")
    return Listed(name=name, **row)
