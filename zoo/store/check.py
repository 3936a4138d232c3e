"""Whether a preset is whole and within the limits, found out without TensorFlow.

So a damaged preset is refused at once, and none fills the memory.
"""

from __future__ import annotations

import os
from pathlib import Path

from zoo.models.sizes import Sizes, sizes_of
from zoo.models.weights_file import check_weights, largest_file
from zoo.store.folder import (
    CONFIG,
    METADATA,
    WEIGHTS,
    find_preset,
    read_json,
    read_metadata,
)
from zoo.store.manifest import sha256_of
from zoo.system import limits
from zoo.system.errors import UserError

FORMAT = 2


def check_preset(folder: str | os.PathLike) -> tuple[dict, dict]:
    """Reads and checks a preset as far as that goes without TensorFlow.

    Args:
        folder: As for `find_preset`.

    Returns:
        Its config and its metadata.

    Raises:
        UserError: If a file is missing, damaged, or larger than it may be, or the
            weights are not those of the model, or not finite.

    Example:
        import zoo
        from zoo.store.check import check_preset

        config, metadata = check_preset(zoo.store.hub.locate("echo-8"))
        assert metadata["task"] == "delayed-echo"
    """
    folder = find_preset(folder)
    config, metadata = read_config(folder), read_metadata(folder)
    _check_weights(
        folder / WEIGHTS,
        metadata.get("weights_sha256"),
        sizes_of(config["model"]).weights,
    )
    return config, metadata


def read_config(folder: str | os.PathLike) -> dict:
    """The config of a preset, read without TensorFlow.

    Returns:
        What `config.json` holds: `format`, `model`, `processing`.

    Raises:
        UserError: If there is no preset, its config is damaged or of another format,
            or describes a model above the limits.
    """
    path = find_preset(folder) / CONFIG
    config = read_json(path, at_most=limits.CONFIG)
    if config.get("format") != FORMAT:
        raise UserError(
            f"The preset {path.parent} has format {config.get('format')!r:.100}; this "
            f"version reads format {FORMAT}."
        )
    try:
        check_config(config)
    except ValueError as error:
        raise UserError(f"The preset file {path} is damaged: {error}.") from None
    return config


def check_config(config: dict) -> Sizes:
    """Looks at the model and the processing of a config.

    Raises:
        ValueError: Says what is wrong.
    """
    # Put off: pydantic takes 0.1 s, and what reads no JSON does without.
    from zoo.store import json_models
    from zoo.system.validation import hold

    hold(json_models.Config, config)
    sizes, processing = sizes_of(config["model"]), config["processing"]
    ids = _ids(processing)
    if ids is not None and (sizes.ids, sizes.outputs) != (ids, ids):
        raise ValueError(
            f"{ids} ids in the vocabulary, {sizes.ids} read and {sizes.outputs} "
            "answered by the model"
        )
    hold(json_models.Processing, processing, wrong="{field} must be finite numbers")
    return sizes


def _ids(processing: dict) -> int | None:
    from zoo.texts.vocabulary import Vocabulary
    from zoo.texts.words import Words

    try:
        if "vocabulary" in processing:
            return Vocabulary(processing["vocabulary"]).size
        if "words" in processing:
            return Words(processing["words"]).size
    except TypeError as error:
        raise ValueError(str(error)) from None
    return None


def _check_weights(path: Path, sha256: str | None, weights: int) -> None:
    if not path.is_file():
        raise UserError(f"The preset file {path} is missing.")
    size, most = path.stat().st_size, largest_file(weights)
    if size > most:
        raise UserError(
            f"The preset file {path} does not hold this model's weights: it has "
            f"{size:,} bytes, and {weights:,} weights take {most:,} at most."
        )
    if sha256_of(path) != sha256:
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
