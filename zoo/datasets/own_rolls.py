"""Piano rolls of the user's own."""

from __future__ import annotations

import os
from pathlib import Path

from zoo import limits
from zoo.datasets.rolls import PARTS, read_parts, read_piece, require_few
from zoo.errors import UserError
from zoo.reading import read_bytes


def read_rolls(path: str | os.PathLike) -> tuple[str, list, list, list]:
    """Name, and the pieces of the three parts, each piece `(frames, 88)` of 0 and 1.

    Args:
        path: A MATLAB file with `traindata`, `validdata` and `testdata`; or a folder
            of `.npz` or `.mat` files, one array `(frames, 88)` a piece. Of a folder,
            sorted by name, every tenth piece tests and the one before it validates.

    Raises:
        UserError: If it is neither, or a piece has another shape or other values than
            0 and 1 or velocities.
    """
    path = Path(path)
    if path.is_dir():
        return path.name, *_of_folder(path)
    content = read_bytes(path, at_most=limits.ROLLS)
    try:
        rolls = read_parts(content)
    except ValueError as error:
        raise UserError(f"`--data` holds no piano rolls: {path}: {error}.") from None
    return path.name, *(rolls[part] for part in PARTS)


def _of_folder(folder: Path):
    files = sorted(p for p in folder.iterdir() if p.suffix in (".npz", ".mat"))
    if len(files) > limits.PIECES:
        raise UserError(
            f"`--data` has {len(files):,} files, and {limits.PIECES:,} are the most: "
            f"{folder}"
        )
    parts = {part: [] for part in PARTS}
    frames = 0
    for place, file in enumerate(files):
        part = {9: "test", 8: "validation"}.get(place % 10, "train")
        parts[part].append(read_piece(file))
        frames += len(parts[part][-1])
        try:
            require_few(frames)
        except ValueError as error:
            raise UserError(f"`--data` is too large: {error}: {folder}") from None
    if not all(parts.values()):
        raise UserError(
            f"`--data` needs at least 10 files .npz or .mat, one a piece, of which two "
            f"are held out. Received: {len(files)} in {folder}"
        )
    return tuple(parts.values())
