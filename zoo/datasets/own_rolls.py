"""Piano rolls of the user's own."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from zoo.datasets.piano_rolls import KEYS, check_rolls, read_mat
from zoo.errors import UserError

PARTS = ("train", "validation", "test")


def read_rolls(path: str | os.PathLike) -> tuple[str, list, list, list]:
    """Name, and the pieces of the three parts, each piece `(frames, 88)` of 0 and 1.

    Args:
        path: A MATLAB file with `traindata`, `validdata` and `testdata`; or a folder
            of `.npz` or `.mat` files, one array `(frames, 88)` a piece. Of a folder,
            sorted by name, every tenth piece tests and the one before it validates.

    Raises:
        UserError: If it is neither, or a piece has another shape.
    """
    path = Path(path)
    if path.is_dir():
        return path.name, *_of_folder(path)
    try:
        rolls = read_mat(path.read_bytes())
    except OSError as error:
        raise UserError(
            f"`--data` cannot be read: {path} ({error.strerror})."
        ) from None
    except ValueError as error:
        raise UserError(f"`--data` holds no piano rolls: {path}: {error}.") from None
    return path.name, *(rolls[part] for part in PARTS)


def _of_folder(folder: Path):
    files = sorted(p for p in folder.iterdir() if p.suffix in (".npz", ".mat"))
    parts = {part: [] for part in PARTS}
    for place, file in enumerate(files):
        part = {9: "test", 8: "validation"}.get(place % 10, "train")
        parts[part].append(read_piece(file))
    if not all(parts.values()):
        raise UserError(
            f"`--data` needs at least 10 files .npz or .mat, one a piece, of which two "
            f"are held out. Received: {len(files)} in {folder}"
        )
    return tuple(parts.values())


def read_piece(file: Path) -> np.ndarray:
    """One piece, `(frames, 88)` of 0 and 1, of a file `.npz` or `.mat`.

    Raises:
        UserError: If it cannot be read, or holds something else.
    """
    try:
        if file.suffix == ".npz":
            with np.load(file, allow_pickle=False) as archive:
                arrays = [archive[name] for name in archive.files]
        else:
            import scipy.io

            cells = scipy.io.loadmat(file)
            arrays = [v for k, v in cells.items() if not k.startswith("__")]
        rolls = [np.asarray(a) for a in arrays if np.ndim(a) == 2]
        if len(rolls) != 1:
            raise ValueError(f"it must hold one array (frames, {KEYS})")
        piece = (rolls[0] > 0).astype(np.uint8)
        check_rolls([piece])
        return piece
    except (OSError, ValueError, TypeError, NotImplementedError) as error:
        raise UserError(f"{file} is no piano roll: {error}") from None
