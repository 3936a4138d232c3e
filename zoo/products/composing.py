"""Continues a piece of music, one frame at a time."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from zoo.music.midi import KEYS, LOWEST, check_roll, roll_of
from zoo.music.rolls import read_piece
from zoo.products.sampling import check_options, sample
from zoo.store.preset import Preset
from zoo.system import limits
from zoo.system.errors import UserError
from zoo.system.reading import read_bytes

CHORD = (60, 64, 67, 72)  # C major


def generate_music(
    preset: Preset,
    prompt: np.ndarray | None = None,
    *,
    length: int = 128,
    temperature: float = 1.0,
    seed: int = 0,
) -> np.ndarray:
    """Samples a continuation of a piano roll.

        P(key k sounds in frame t) = sigmoid(logit_tk / temperature)
        logits_t = model(frames before t)

    independently for each key. The model reads the prompt in one call and every later
    frame in one step from the carried state.

    Args:
        preset: A preset of the task `music`.
        prompt: The frames to continue, `(frames, 88)`, nonzero where a key sounds.
            None: `start_chord()`. Silence is a poor start: pieces do not begin with it.
        length: Number of frames to add, >= 0.
        temperature: >= 0. Below 1 there are fewer, likelier notes, above 1 more. With 0
            a key sounds if its probability is above 0.5, whatever the seed, which soon
            leads to silence or one held chord.
        seed: Non-negative integer below 2**63. The same seed gives the same piece.

    Returns:
        The continuation, `(length, 88)` of 0 and 1 in uint8, without the prompt.

    Raises:
        UserError: If a value is out of range, or the preset is not one of music.

    Example:
        import zoo
        from zoo.tasks import TASKS

        music = TASKS["music"]
        untrained = music.build_model(None, music.recipe_for(None))
        preset = zoo.Preset(untrained, processing={}, metadata={"task": "music"})
        roll = zoo.generate_music(preset, length=8)
        assert roll.shape == (8, 88)
        zoo.write_midi("tune.mid", roll, tempo=90)
    """
    preset.require_task("music")
    check_options(length=length, temperature=temperature, seed=seed)
    prompt = start_chord() if prompt is None else np.asarray(prompt)
    check_roll(prompt)
    frames = sample(
        preset,
        (prompt != 0).astype(np.float32),
        _draw_keys,
        length=length,
        temperature=temperature,
        seed=seed,
    )
    return frames.astype(np.uint8)


def _draw_keys(logits: Any, noise: Any, temperature: Any) -> Any:
    # noise < sigmoid(logits / temperature); with temperature 0, whether the
    # probability of the key is above 0.5.
    logistic = tf.math.log(noise) - tf.math.log1p(-noise)
    return tf.cast(logits > temperature * logistic, tf.float32)


def start_chord() -> np.ndarray:
    """One frame of C major, the key of the chorales and most tunes: `(1, 88)`."""
    roll = np.zeros((1, KEYS), np.uint8)
    roll[0, np.array(CHORD) - LOWEST] = 1
    return roll


def read_prompt(path: str | os.PathLike, frames_per_beat: int) -> np.ndarray:
    """Reads a piece to continue from a file `.mid`, `.midi`, `.npz` or `.mat`.

    Args:
        path: The file; `.npz` and `.mat` hold one array `(frames, 88)`.
        frames_per_beat: Number of frames per beat of a MIDI file.

    Returns:
        `(frames, 88)` of 0 and 1, uint8.

    Raises:
        UserError: If it is none of these, or cannot be read.
    """
    path = Path(path)
    if path.suffix in (".mid", ".midi"):
        content = read_bytes(path, at_most=limits.MIDI, option="`--prompt`")
        return roll_of(content, path, frames_per_beat=frames_per_beat)
    if path.suffix in (".npz", ".mat"):
        return read_piece(path, option="`--prompt`")
    raise UserError(
        "`--prompt` of a music preset must be a file .mid, .midi, .npz or .mat, whose "
        f"piece is continued. Received: {path}"
    )
