"""A trained model as a folder: config, vocabulary, weights, metadata, card."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterable

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
    """A trained model and what belongs with it.

    Args:
        model: A plain `keras.Sequential` from ids `(batch, time)`, or from floats
            `(batch, time, features)`.
        processing: Plain values by which the model reads data: `vocabulary` or
            `words`, the characters or words behind its ids; `mean` and `deviation` of
            its features; ...
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

    @property
    def vocabulary(self) -> Vocabulary | Words:
        """The characters or words behind the ids of a model of text.

        Raises:
            ValueError: If it is no such model.
        """
        return vocabulary_of(self.processing)

    def encode(self, text: str) -> np.ndarray:
        """The ids that a model of text reads a text as.

        Args:
            text: Any text. Line endings CRLF and CR are read as LF, unless the model
                knows CR.

        Returns:
            int32 array `(characters,)` or `(words,)`, values in
            `[0, vocabulary.size)`; what the model does not know has
            `vocabulary.unknown_id`.

        Raises:
            ValueError: If it is no model of text.

        Example:
            import zoo

            preset = zoo.from_preset("tiny-shakespeare")
            ids = preset.encode("To be")
            assert ids.shape == (5,) and preset.decode(ids) == "To be"
            assert preset.model(ids[None]).shape == (1, 5, preset.vocabulary.size)
        """
        return self.vocabulary.encode(self.with_known_lines(text))

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids.

        Args:
            ids: Integers in `[0, vocabulary.size)`, an array of one axis or any other
                iterable.

        Returns:
            A character for each id, U+FFFD for the unknown one; or a space and a word,
            a line break for the end of a line.

        Raises:
            ValueError: If it is no model of text.

        Example:
            import zoo

            preset = zoo.from_preset("tiny-shakespeare")
            best = preset.model(preset.encode("To b")[None]).numpy().argmax(-1)
            assert preset.decode(best[0, -1:]) == "e"
        """
        return self.vocabulary.decode(ids)

    def with_known_lines(self, text: str) -> str:
        """A text whose lines end with LF, unless the model has learnt CR.

        Example:
            import zoo

            preset = zoo.from_preset("tiny-shakespeare")
            assert preset.with_known_lines("a" + chr(13) + chr(10)) == "a" + chr(10)
        """
        knows = "\r" in self.processing.get("vocabulary", "")
        return text if knows else universal(text)

    def save(self, folder: str | os.PathLike, *, half: bool = False) -> None:
        """Writes the preset folder: `zoo.save_to_preset`.

        Args:
            folder: Its name; one that is there is replaced.
            half: Whether weights are stored in half precision.

        Raises:
            UserError: If half precision cannot hold a weight.

        Example:
            import zoo

            zoo.from_preset("echo-8").save("copy")
            assert zoo.from_preset("copy").metadata["task"] == "delayed-echo"
        """
        save_to_preset(folder, self, half=half)

    def require_task(self, name: str) -> None:
        """Refuses a preset of another task.

        Raises:
            UserError: If `metadata` names another one, or none.
        """
        if self.metadata.get("task") != name:
            raise UserError(
                f"`preset` must be one of the task {name}. Received one of: "
                f"{self.metadata.get('task')}"
            )


def save_to_preset(
    folder: str | os.PathLike, preset: Preset, *, half: bool = False
) -> None:
    """Writes the preset folder, complete or not at all; an older one is replaced.

    Args:
        folder: Its name. The folder above must exist.
        preset: What to write. To its metadata the checksum of the weights is added.
        half: Whether weights are stored in half precision: half the size, 11 bits each.
            A loaded model computes as before.

    Raises:
        UserError: If `half` is True and a weight is above 65,504, the largest number
            of half precision; or if the folder cannot be written.
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
    """Reads a preset folder. No code in it is run: see `zoo.models.config`.

    Args:
        source: The preset folder, or the folder of a training run that has one in
            `preset`; or its files; or what `check_preset` returned, which is not
            checked again.

    Returns:
        The `Preset`, its model built and with its weights.

    Raises:
        UserError: If the folder or one of its files is missing, damaged, or of
            another format.
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
    """Refuses a training whose preset could not be read again, before it trains.

    Args:
        model: The model, built.
        processing: As for `Preset`.
        facts: What of the metadata is known before a training; `task` and what a `Run`
            collects.

    Raises:
        UserError: If a preset cannot hold the model, or one of its files would be
            larger than those that are read.

    Example:
        import zoo
        from zoo.store.preset import check_preset_possible

        preset = zoo.from_preset("echo-8")
        check_preset_possible(preset.model, preset.processing, preset.metadata)
    """
    # What only the end of the training brings.
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


# Bytes of metadata that a training adds at most.
_TO_COME = 10_000


def _config(model: keras.Sequential, processing: dict) -> dict:
    return {"format": FORMAT, "model": to_config(model), "processing": processing}
