"""Schemas of the JSON files of presets, releases and checkpoints.

Import this inside the functions that read them: it imports pydantic.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from zoo.plain.parts import PARTS
from zoo.system import limits
from zoo.system.validation import Closed, Count, Number, Open, Text

Levels = dict[str, Number]


class Metric(Open):
    """The result in a preset's metadata."""

    name: str
    unit: str
    part: Annotated[str, Field(pattern=f"^({'|'.join(PARTS)})$")]
    value: Number
    epoch: Number = 1
    validation: Number = 1


class Data(Open):
    """The data it was trained on."""

    name: str


class Metadata(Open):
    """The fields of `metadata.json` that commands rely on; the task checks `recipe`."""

    task: Any
    recipe: Any
    metric: Metric
    data: Data
    parameters: Number
    wall_time_seconds: Number
    baselines: Levels
    references: Levels
    seeds: Levels = {}
    versions: dict[str, Any]
    stopped_after: Number = 1
    machine: str = ""


class Config(Open):
    """`config.json`. `zoo.models.sizes` checks the model."""

    model: dict[str, Any]
    processing: dict[str, Any]


class Processing(Open):
    """The fields of a preset's processing that mean the same in every task."""

    mean: list[Number] = []
    deviation: list[Number] = []


def _sha256(text: str) -> str:
    if re.fullmatch(limits.SHA256, text) is None:
        raise ValueError(f"{text!r:.100} is no sha256")
    return text


Sha256 = Annotated[str, AfterValidator(_sha256)]


class File(Closed):
    """A file in a manifest."""

    size: int
    sha256: Sha256


class Manifest(Open):
    """`manifest.json`, of format 1."""

    format: Literal[1]
    files: dict[str, Any]


class Row(Closed):
    """A preset in an index."""

    manifest_sha256: Sha256
    size: Count
    task: Text
    data: Text
    metric: Text
    unit: Text
    part: Text
    value: Number
    parameters: Count


class Index(Open):
    """`index.json`, of format 1."""

    format: Literal[1]
    presets: dict[str, Any]
    mirrors: Annotated[list[str], Field(max_length=limits.MIRRORS)] = []


class Origin(Open):
    """How a training loads its data again, and how its model is compiled."""

    task: str
    dataset: str | None = None
    data: str | None = None
    data_dir: str | None = None
    reading: dict[str, Any] | None = None
    jit: bool | Literal["auto"]


class DataOfRun(Open):
    """What the data of a training were."""

    sha256: str
    facts: dict[str, Any]


class TrainingOfRun(Open):
    """`training.json` of a checkpoint. The task checks `recipe`."""

    origin: Origin
    recipe: dict[str, Any]
    data: DataOfRun
    patient_since: Count
