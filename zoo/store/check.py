"""Checks that a preset is intact and within the limits, without TensorFlow.

So a damaged preset is refused immediately, and none can exhaust the memory.
"""

from __future__ import annotations

import dataclasses
import os

from zoo.models.sizes import Sizes, sizes_of
from zoo.models.weights_file import check_weights, largest_file
from zoo.store.files import CheckedPreset, PresetFiles
from zoo.store.folder import (
    CONFIG,
    METADATA,
    WEIGHTS,
    check_metadata,
    damage_named,
    find_preset,
    read_json,
    read_metadata,
)
from zoo.system import limits
from zoo.system.errors import UserError
from zoo.tasks import TASKS
from zoo.texts.vocabulary import Vocabulary
from zoo.texts.words import Words

FORMAT = 2


def check_preset(preset: str | os.PathLike | PresetFiles) -> CheckedPreset:
    """Reads a preset and checks all that can be checked without TensorFlow.

    Args:
        preset: A folder as for `find_preset`, or its files. Weights whose checksum is
            known are not hashed again.

    Returns:
        Its files, config and metadata, from which `load_preset` continues.

    Raises:
        UserError: If a file is missing, damaged, or too large, or the weights do not
            belong to the model or are not finite.

    Example:
        from zoo.store.check import check_preset
        from zoo.store.hub import locate

        checked = check_preset(locate("echo-8"))
        assert checked.metadata["task"] == "delayed-echo"
    """
    files = preset if isinstance(preset, PresetFiles) else PresetFiles.at(preset)
    config, metadata = read_config(files.folder), read_known_metadata(files.folder)
    expected, weights = (
        metadata.get("weights_sha256"),
        sizes_of(config["model"]).weights,
    )
    sha256 = _check_weights(files, expected, weights)
    files = dataclasses.replace(files, sums={**files.sums, WEIGHTS: sha256})
    return CheckedPreset(files, config, metadata)


def read_known_metadata(folder: str | os.PathLike) -> dict:
    """Reads the metadata of a preset whose task this version of the zoo has.

    Args:
        folder: As for `find_preset`.

    Returns:
        What `read_metadata` returns. Its task is in `zoo.tasks.TASKS` and accepts its
        recipe.

    Raises:
        UserError: If there is no preset, or its metadata are invalid.
    """
    metadata = read_metadata(folder)
    with damage_named(find_preset(folder) / METADATA):
        check_task(metadata)
    return metadata


def check_task(metadata: dict) -> None:
    """Checks that the task in the metadata exists and accepts their recipe.

    Raises:
        ValueError: Says what is wrong.
    """
    name = metadata["task"]
    if not isinstance(name, str) or name not in TASKS:
        raise ValueError(f"there is no task {name!r:.100} here")
    TASKS[name].recipe_from(metadata["recipe"])


def check_known_metadata(metadata: dict) -> None:
    """Checks the metadata that commands rely on, including the task.

    Raises:
        ValueError: Says what is wrong.
    """
    check_metadata(metadata)
    check_task(metadata)


def read_config(folder: str | os.PathLike) -> dict:
    """Reads the config of a preset, without TensorFlow.

    Returns:
        The content of `config.json`: `format`, `model`, `processing`.

    Raises:
        UserError: If there is no preset, its config is damaged or has a different
            format, or describes a model above the limits.
    """
    path = find_preset(folder) / CONFIG
    config = read_json(path, at_most=limits.CONFIG)
    if config.get("format") != FORMAT:
        raise UserError(
            f"The preset {path.parent} has format {config.get('format')!r:.100}; this "
            f"version reads format {FORMAT}."
        )
    with damage_named(path):
        check_config(config)
    return config


def check_config(config: dict) -> Sizes:
    """Checks the model and the processing of a config.

    Raises:
        ValueError: Says what is wrong.
    """
    # Put off: pydantic takes 0.1 s to import, and few commands read JSON.
    from zoo.store import json_models
    from zoo.system.validation import validate

    validate(json_models.Config, config)
    sizes, processing = sizes_of(config["model"]), config["processing"]
    ids = _ids(processing)
    if ids is not None and (sizes.ids, sizes.outputs) != (ids, ids):
        raise ValueError(
            f"{ids} ids in the vocabulary, {sizes.ids} read and {sizes.outputs} "
            "answered by the model"
        )
    validate(json_models.Processing, processing, wrong="{field} must be finite numbers")
    return sizes


def _ids(processing: dict) -> int | None:
    try:
        if "vocabulary" in processing:
            return Vocabulary(processing["vocabulary"]).size
        if "words" in processing:
            return Words(processing["words"]).size
    except TypeError as error:
        raise ValueError(str(error)) from None
    return None


def _check_weights(files: PresetFiles, expected: str | None, weights: int) -> str:
    """Returns the checksum of the weights, if they belong to the model."""
    path = files.folder / WEIGHTS
    if not path.is_file():
        raise UserError(f"The preset file {path} is missing.")
    size, most = path.stat().st_size, largest_file(weights)
    if size > most:
        raise UserError(
            f"The preset file {path} does not hold this model's weights: it has "
            f"{size:,} bytes, and {weights:,} weights take {most:,} at most."
        )
    sha256 = files.weights_sha256
    if sha256 != expected:
        raise UserError(
            f"The preset file {path} is damaged: its checksum is not that of "
            f"{METADATA}."
        )
    try:
        check_weights(path, sha256, weights)
    except ValueError as error:
        raise UserError(
            f"The preset file {path} does not hold this model's weights: {error}."
        ) from None
    return sha256
