"""Reads piano rolls from arrays and files, without TensorFlow."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from zoo.music.mat import read_mat
from zoo.music.midi import KEYS
from zoo.music.npz import read_npz
from zoo.plain.parts import PARTS
from zoo.system import limits
from zoo.system.errors import UserError
from zoo.system.reading import read_bytes

# Part -> name of its cell array in a MATLAB file.
CELLS = dict(zip(PARTS, ("traindata", "validdata", "testdata"), strict=True))
LOUDEST = 127  # the largest velocity of MIDI


def as_roll(array: np.ndarray) -> np.ndarray:
    """Converts an array to a piano roll of 0 and 1.

    Args:
        array: `(frames, 88)` of 0 and 1, or of velocities, integers from 0 (silent) to
            127.

    Returns:
        `(frames, 88)` in uint8, 1 where a key sounds.

    Raises:
        ValueError: If it has the wrong shape, too many frames, or other values.

    Example:
        import numpy as np
        from zoo.music.rolls import as_roll

        assert as_roll(np.full((2, 88), 64)).max() == 1
    """
    array = np.asarray(array)
    if array.ndim != 2 or array.shape[1] != KEYS:
        raise ValueError(
            f"a piece must be (frames, {KEYS}), but one has the shape {array.shape}"
        )
    if len(array) > limits.FRAMES:
        raise ValueError(
            f"a piece has {len(array):,} frames, and {limits.FRAMES:,} are the most"
        )
    # NaN fails both comparisons.
    good = (array >= 0) & (array <= LOUDEST)
    if array.dtype.kind == "f":
        good &= np.floor(array) == array
    if not good.all():
        row, key = np.argwhere(~good)[0]
        raise ValueError(
            "a piece must have 0 and 1 alone, or velocities from 0 to "
            f"{LOUDEST}, but one has {array[row, key]:.6g} in frame {row}"
        )
    return (array != 0).astype(np.uint8)


def read_parts(content: bytes) -> dict[str, list[np.ndarray]]:
    """Reads the pieces of a MATLAB file with `traindata`, `validdata` and `testdata`.

    Args:
        content: The content of the file.

    Returns:
        `{part: list of (frames, 88) arrays of 0 and 1}`.

    Raises:
        ValueError: If it is not such a file.
    """
    found = read_mat(content)
    rolls, frames = {}, 0
    for part, name in CELLS.items():
        cells = found.pop(name, None)
        if not isinstance(cells, list):
            raise ValueError(f"it has not the cells {', '.join(CELLS.values())}")
        frames += sum(map(len, cells))
        require_few(frames)
        rolls[part] = [as_roll(cell) for cell in cells]
    return rolls


def read_piece(path: Path, *, option: str = "`--data`") -> np.ndarray:
    """Reads one piece, `(frames, 88)` of 0 and 1, from a file `.npz` or `.mat`.

    Args:
        path: The file. It holds one array `(frames, 88)` for `as_roll`, and possibly
            arrays with a different number of axes.
        option: The option that names the file, for the error.

    Raises:
        UserError: If it cannot be read, or holds something else.
    """
    content = read_bytes(path, at_most=limits.ROLLS, option=option)
    try:
        if path.suffix == ".npz":
            found: Iterable[Any] = read_npz(content, ndim=2).values()
        else:
            found = read_mat(content).values()
        arrays = [array for array in found if isinstance(array, np.ndarray)]
        rolls = [array for array in arrays if array.ndim == 2]
        if len(rolls) != 1:
            raise ValueError(f"it must hold one array (frames, {KEYS})")
        return as_roll(rolls[0])
    except ValueError as error:
        raise UserError(f"{path} is no piano roll: {error}.") from None


def require_few(frames: int) -> None:
    """Raises `ValueError` if the total number of frames exceeds the limit."""
    if frames > limits.ALL_FRAMES:
        raise ValueError(
            f"its pieces have more than {limits.ALL_FRAMES:,} frames together"
        )
