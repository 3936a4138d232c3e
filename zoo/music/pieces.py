"""Pieces of music in three parts."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from zoo.plain.parts import PARTS

# Frames per quarter note in data sets: quarter notes in chorales, eighths in tunes.
FRAMES_PER_BEAT = {"jsb-chorales": 1, "nottingham": 2}


@dataclasses.dataclass(frozen=True)
class Rolls:
    """Pieces in three parts, each piece `(frames, 88)` of 0 and 1.

    Args:
        name: Their name in reports.
        train: Pieces for training.
        validation: Pieces for model selection.
        test: Pieces for the final evaluation only.
        source: Where they come from.
        frames_per_beat: Number of frames per quarter note, if known.
        reading: How the user's own files were read: arguments of
            `zoo.music.own_rolls.own_rolls`.
    """

    name: str
    train: list[np.ndarray]
    validation: list[np.ndarray]
    test: list[np.ndarray]
    source: str
    frames_per_beat: int | None = None
    reading: dict[str, Any] | None = None

    def describe(self) -> dict[str, Any]:
        """Facts for a model's metadata."""
        facts: dict[str, Any] = {"name": self.name, "source": self.source}
        for part in PARTS:
            pieces = getattr(self, part)
            facts[f"{part}_pieces"] = len(pieces)
            facts[f"{part}_frames"] = int(sum(len(piece) for piece in pieces))
        return facts
