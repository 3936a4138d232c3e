"""A preset's model as a file that runs step by step, without this package."""

from __future__ import annotations

import os
from typing import Any

import bptt_keras as bk
from zoo.store.preset import Preset
from zoo.system.errors import UserError, ZooError
from zoo.texts.vocabulary import Vocabulary


def export_step(
    preset: Preset,
    path: str | os.PathLike,
    format: str,
    *,
    rows: int | None = 1,
    timesteps: int | None = 1,
    reset: bool = False,
) -> dict[str, Any]:
    """Exports a preset with `bptt_keras.export`, and says how data are read.

    The JSON file beside it holds, as `preprocessing`, the preset's vocabulary or
    scaling, its task and its recipe.

    Args:
        preset: The preset.
        path: As for `bptt_keras.export`.
        format: As for `bptt_keras.export`.
        rows: As for `bptt_keras.export`.
        timesteps: As for `bptt_keras.export`.
        reset: As for `bptt_keras.export`.

    Returns:
        As `bptt_keras.export`.

    Raises:
        UserError: If the model cannot be exported, or an argument does not fit.
        ZooError: If a package is missing.

    Example:
        import zoo
        from zoo.products.steps import export_step

        said = export_step(zoo.from_preset("echo-8"), "echo", "saved_model")
        assert said["preprocessing"]["task"] == "delayed-echo"
    """
    try:
        return bk.export(
            preset.model,
            path,
            format,
            rows=rows,
            timesteps=timesteps,
            reset=reset,
            preprocessing=preprocessing_of(preset),
        )
    except (bk.ExportError, ValueError) as error:
        raise UserError(str(error)) from None
    except ImportError as error:
        raise ZooError(str(error)) from None


def preprocessing_of(preset: Preset) -> dict[str, Any]:
    """What a program needs to read data as a preset does, for JSON.

    A text model has `vocabulary`, a list of characters or words by id, and
    `unknown_id`, the id of all others.
    """
    said = {
        "task": preset.metadata.get("task"),
        "recipe": preset.metadata.get("recipe"),
        **preset.processing,
    }
    if {"vocabulary", "words"} & set(preset.processing):
        known = preset.vocabulary
        listed = known.characters if isinstance(known, Vocabulary) else known.words
        said.pop("words", None)
        said |= {
            "unit": known.UNIT,
            "vocabulary": list(listed),
            "unknown_id": known.unknown_id,
        }
    return said
