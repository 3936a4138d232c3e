"""A trained model as a folder: config, vocabulary, weights, metadata, card."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable
from typing import Any

import keras
import numpy as np

from zoo.models.config import from_config, to_config
from zoo.models.weights import save_weights
from zoo.store.card import card
from zoo.store.check import (
    FORMAT,
    check_config,
    check_known_metadata,
    check_preset,
)
from zoo.store.files import CheckedPreset, PresetFiles
from zoo.store.folder import CARD, CONFIG, METADATA, WEIGHTS
from zoo.store.manifest import sha256_of
from zoo.system import limits
from zoo.system.errors import UserError
from zoo.system.files import as_json, write_json, write_text
from zoo.system.folders import new_folder
from zoo.texts.encoded import vocabulary_of
from zoo.texts.own_text import universal
from zoo.texts.vocabulary import Vocabulary
from zoo.texts.words import Words


@dataclasses.dataclass(frozen=True)
class Preset:
    """A trained model with the values and metadata that belong to it.

    Args:
        model: A plain `keras.Sequential` from ids `(batch, time)`, or from floats
            `(batch, time, features)`.
        processing: Plain values that the model needs to read data: `vocabulary` or
            `words`, the characters or words of its ids; `mean` and `deviation` of its
            features; ...
        metadata: Task, metric, data, recipe and versions; see `metadata.json`.

    Example:
        import zoo
        from zoo.datasets import Vocabulary
        from zoo.tasks.char_lm import Recipe, build_model

        vocabulary = Vocabulary.of("to be or not to be")
        model = build_model(vocabulary.size, Recipe(units=8))
        processing = {"vocabulary": "".join(vocabulary.characters)}
        preset = zoo.Preset(model, processing, metadata={})
        ids = preset.vocabulary.encode("not")[None]
        assert preset.model(ids).shape == (1, 3, vocabulary.size)
    """

    model: keras.Sequential
    processing: dict
    metadata: dict
    # Functions that were compiled for the model, by what they do with it.
    programs: dict[Any, Any] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    @property
    def vocabulary(self) -> Vocabulary | Words:
        """The vocabulary of characters or words of a text model.

        Raises:
            ValueError: If the preset is not a text model.
        """
        return vocabulary_of(self.processing)

    def encode(self, text: str) -> np.ndarray:
        """Encodes a text as the ids that a text model reads.

        Args:
            text: Any text. Line endings CRLF and CR are read as LF, unless the model
                knows CR.

        Returns:
            int32 array `(characters,)` or `(words,)`, values in
            `[0, vocabulary.size)`; unknown characters or words become
            `vocabulary.unknown_id`.

        Raises:
            ValueError: If the preset is not a text model.

        Example:
            import zoo

            preset = zoo.from_preset("tiny-shakespeare")
            ids = preset.encode("To be")
            assert ids.shape == (5,) and preset.decode(ids) == "To be"
            assert preset.model(ids[None]).shape == (1, 5, preset.vocabulary.size)
        """
        return self.vocabulary.encode(self.with_known_lines(text))

    def decode(self, ids: Iterable[int]) -> str:
        """Decodes ids to a text.

        Args:
            ids: Integers in `[0, vocabulary.size)`, as a one-dimensional array or any
                other iterable.

        Returns:
            One character per id, U+FFFD for the unknown id; or a space and a word per
            id, and a line break for the end of a line.

        Raises:
            ValueError: If the preset is not a text model.

        Example:
            import zoo

            preset = zoo.from_preset("tiny-shakespeare")
            best = preset.model(preset.encode("To b")[None]).numpy().argmax(-1)
            assert preset.decode(best[0, -1:]) == "e"
        """
        return self.vocabulary.decode(ids)

    def with_known_lines(self, text: str) -> str:
        """The text with LF line endings, unless the model knows CR.

        Example:
            import zoo

            preset = zoo.from_preset("tiny-shakespeare")
            assert preset.with_known_lines("a" + chr(13) + chr(10)) == "a" + chr(10)
        """
        knows = "\r" in self.processing.get("vocabulary", "")
        return text if knows else universal(text)

    def save(self, folder: str | os.PathLike, *, half: bool = False) -> None:
        """Writes the preset folder: see `zoo.save_to_preset`.

        Args:
            folder: Path of the preset folder; an existing preset is replaced.
            half: Whether to store the weights in half precision.

        Raises:
            UserError: If half precision cannot represent a weight.

        Example:
            import zoo

            zoo.from_preset("echo-8").save("copy")
            assert zoo.from_preset("copy").metadata["task"] == "delayed-echo"
        """
        save_to_preset(folder, self, half=half)

    def require_task(self, name: str) -> None:
        """Refuses a preset of a different task.

        Raises:
            UserError: If `metadata` names a different task, or none.
        """
        if self.metadata.get("task") != name:
            raise UserError(
                f"`preset` must be one of the task {name}. Received one of: "
                f"{self.metadata.get('task')}"
            )


def save_to_preset(
    folder: str | os.PathLike, preset: Preset, *, half: bool = False
) -> None:
    """Writes the preset folder, completely or not at all; replaces an older one.

    Args:
        folder: Path of the preset folder. Its parent must exist.
        preset: The preset. The checksum of the weights is added to its metadata.
        half: Whether to store the weights in half precision: half the size, with 11
            significant bits. A loaded model computes in its usual precision.

    Raises:
        UserError: If `half` is True and a weight is above 65,504, the largest number
            in half precision; or if the folder cannot be written.
        ZooError: If the disk is full.

    Example:
        import pathlib, tempfile
        import zoo

        preset = zoo.from_preset("echo-8")
        folder = pathlib.Path(tempfile.mkdtemp()) / "copy"
        zoo.save_to_preset(folder, preset)
        assert zoo.from_preset(folder).processing == preset.processing
    """
    config = _config(preset.model, preset.processing)
    with new_folder(folder) as new:
        save_weights(preset.model, new / WEIGHTS, half=half)
        metadata = {**preset.metadata, "weights_sha256": sha256_of(new / WEIGHTS)}
        write_json(new / CONFIG, config)
        write_json(new / METADATA, metadata)
        write_text(new / CARD, card(metadata))


def load_preset(source: str | os.PathLike | PresetFiles | CheckedPreset) -> Preset:
    """Loads a preset folder. No code in it is run: see `zoo.models.config`.

    Args:
        source: The preset folder, or the folder of a training run that has one in
            `preset`; or its files; or what `check_preset` returned, which is not
            checked again.

    Returns:
        The `Preset`, its model built and with its weights.

    Raises:
        UserError: If the folder or one of its files is missing, damaged, or has a
            different format.
    """
    checked = source if isinstance(source, CheckedPreset) else check_preset(source)
    folder, config = checked.files.folder, checked.config
    try:
        model = from_config(config["model"])
    except ValueError as error:
        raise UserError(
            f"The preset file {folder / CONFIG} is damaged: {error}"
        ) from None
    path = folder / WEIGHTS
    try:
        model.load_weights(path)
    except (
        AttributeError,
        KeyError,
        OSError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise UserError(
            f"The preset file {path} does not hold this model's weights: {error}"
        ) from None
    return Preset(model, config["processing"], checked.metadata)


def check_preset_possible(
    model: keras.Sequential, processing: dict, facts: dict
) -> None:
    """Refuses, before training, a model whose preset could not be loaded again.

    Args:
        model: The model, built.
        processing: As for `Preset`.
        facts: The metadata known before training: `task` and what a `Run` collects.

    Raises:
        UserError: If a preset cannot hold the model, or one of its files would be
            too large to be loaded.

    Example:
        import zoo
        from zoo.store.preset import check_preset_possible

        preset = zoo.from_preset("echo-8")
        check_preset_possible(preset.model, preset.processing, preset.metadata)
    """
    # Placeholders for what is only known after training.
    metric = {"name": "", "unit": "", "part": "validation", "value": 0.0, "epoch": 1}
    metadata = {"metric": metric, "wall_time_seconds": 0.0, **facts}
    try:
        config = _config(model, processing)
        check_config(config)
        check_known_metadata(metadata)
        for name, value, most in (
            (CONFIG, config, limits.CONFIG),
            (METADATA, metadata, limits.METADATA - _TO_COME),
        ):
            size = len(as_json(value).encode("utf-8"))
            if size > most:
                raise ValueError(f"{name} would have {size:,} bytes of {most:,}")
    except ValueError as error:
        raise UserError(
            f"What would be trained cannot be kept as a preset: {error}."
        ) from None


# The most bytes of metadata that a training adds.
_TO_COME = 10_000


def _config(model: keras.Sequential, processing: dict) -> dict:
    return {"format": FORMAT, "model": to_config(model), "processing": processing}
