"""Reads the user's own piano rolls and MIDI files."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from zoo.music.midi import check_speed, roll_of
from zoo.music.pieces import Rolls
from zoo.music.rolls import read_parts, read_piece, require_few
from zoo.plain.parts import PARTS
from zoo.system import limits
from zoo.system.errors import UserError
from zoo.system.reading import name_of, read_bytes, say
from zoo.texts.own_text import fraction_of

ARRAYS, MIDI = (".npz", ".mat"), (".mid", ".midi")
_KINDS = ", ".join((*MIDI, *ARRAYS))
FRAMES_PER_BEAT = 4
# With this many pieces, whole pieces are held out; with fewer, each piece is cut.
ENOUGH = 10


Pieces = list[np.ndarray]


def own_rolls(
    path: str | os.PathLike,
    *,
    frames_per_beat: int | None = None,
    validation: float | str | os.PathLike = 0.1,
    test: str | os.PathLike | None = None,
    skip_damaged: str = "no",
) -> Rolls:
    """Reads the user's own pieces, and records how they were read.

    Args:
        path: As for `read_rolls`.
        frames_per_beat: Number of frames per quarter note of MIDI files; None: 4.
        validation: As for `read_rolls`.
        test: As for `read_rolls`.
        skip_damaged: "yes" or "no", as for `read_rolls`.

    Raises:
        UserError: As for `read_rolls`.
    """
    reading = {"validation": validation, "test": test, "skip_damaged": skip_damaged}
    per_beat = FRAMES_PER_BEAT if frames_per_beat is None else frames_per_beat
    name, train, validated, tested = read_rolls(
        path,
        frames_per_beat=per_beat,
        validation=validation,
        test=test,
        skip_damaged=skip_damaged == "yes",
    )
    if frames_per_beat is None and not str(path).lower().endswith(".mat"):
        frames_per_beat = per_beat
    return Rolls(
        name,
        train,
        validated,
        tested,
        source="own files",
        frames_per_beat=frames_per_beat,
        reading={"path": os.path.abspath(path), **reading},
    )


def read_rolls(
    path: str | os.PathLike,
    *,
    frames_per_beat: int = FRAMES_PER_BEAT,
    validation: float | str | os.PathLike = 0.1,
    test: str | os.PathLike | None = None,
    skip_damaged: bool = False,
) -> tuple[str, Pieces, Pieces, Pieces]:
    """Reads a name and the pieces of three parts, each piece `(frames, 88)` of 0 and 1.

    Args:
        path: A folder of `.mid`, `.midi`, `.npz` or `.mat` files, including its
            subfolders, where an array `(frames, 88)` is a piece; one such file; or a
            MATLAB file with `traindata`, `validdata` and `testdata`. Sorted by name,
            every tenth piece is for the test, and a fraction of all pieces is for
            validation. If there are less than ten pieces, each is cut: its last tenth
            is for the test, and the fraction before that for validation.
        frames_per_beat: Number of frames per quarter note of MIDI files.
        validation: Fraction of the pieces, or of each piece, for validation, in
            (0, 0.5]; or a separate file or folder.
        test: A separate file or folder for the test, in place of every tenth piece.
        skip_damaged: Whether to leave out files of a folder that cannot be read.

    Raises:
        UserError: If it is none of these, a file cannot be read, or a piece has the
            wrong shape.
    """
    check_speed(frames_per_beat=frames_per_beat)
    path, fraction = Path(path), fraction_of(validation)

    def pieces(place: Any, option: str) -> Pieces:
        return _pieces(Path(place), option, frames_per_beat, skip_damaged)

    if path.suffix.lower() == ".mat" and not path.is_dir():
        if fraction != 0.1 or test is not None:
            raise UserError(
                f"{path} has three parts; --validation and --test go with a folder or "
                "one piece."
            )
        train, validated, tested = _of_parts(path)
        return name_of(path), train, validated, tested
    found = pieces(path, "`--data`")
    own = None if fraction else pieces(validation, "`--validation`")
    own_test = None if test is None else pieces(test, "`--test`")
    name = name_of(path)
    return name, *_divided(found, fraction or 0.0, own, own_test, name)


def _of_parts(path: Path) -> list[Pieces]:
    content = read_bytes(path, at_most=limits.ROLLS)
    try:
        rolls = read_parts(content)
    except ValueError as error:
        raise UserError(f"`--data` holds no piano rolls: {path}: {error}.") from None
    return [rolls[part] for part in PARTS]


def _pieces(path: Path, option: str, frames_per_beat: int, skip: bool) -> Pieces:
    """The pieces of a folder, sorted by name, or of one file."""
    if not path.is_dir():
        if path.suffix.lower() not in (*ARRAYS, *MIDI):
            raise UserError(
                f"{option} must name a folder or a file {_KINDS}. Received: {path}"
            )
        return [_piece(path, option, frames_per_beat)]
    files = _files_of(path)
    if not files:
        raise UserError(f"{option} names a folder without a file {_KINDS}: {path}")
    if len(files) > limits.PIECES:
        raise UserError(
            f"{option} has {len(files):,} files, and {limits.PIECES:,} are the most: "
            f"{path}"
        )
    pieces, left_out, frames = [], [], 0
    for file in files:
        try:
            piece = _piece(file, option, frames_per_beat)
        except UserError as error:
            if not skip:
                raise UserError(
                    f"{str(error).rstrip('.')}. With --skip-damaged yes such files are "
                    "left out."
                ) from None
            left_out.append(name_of(file))
            continue
        pieces.append(piece)
        frames += len(piece)
        try:
            require_few(frames)
        except ValueError as error:
            raise UserError(
                f"{option} is too large: {error}: {path}. Give fewer files, or lower "
                "--frames-per-beat."
            ) from None
    if left_out:
        shown = ", ".join(left_out[:3]) + (", ..." if len(left_out) > 3 else "")
        say(f"left out {len(left_out)} of {len(files)} files of {path}: {shown}")
    if not pieces:
        raise UserError(f"{option}: no file of {path} can be read.")
    return pieces


def _files_of(folder: Path) -> list[Path]:
    found = [
        Path(place) / name
        for place, _, names in os.walk(folder)
        for name in names
        if not name.startswith(".")
    ]
    return sorted(f for f in found if f.suffix.lower() in (*ARRAYS, *MIDI))


def _piece(file: Path, option: str, frames_per_beat: int) -> np.ndarray:
    if file.suffix.lower() in MIDI:
        content = read_bytes(file, at_most=limits.MIDI, option=option)
        return roll_of(content, file, frames_per_beat=frames_per_beat)
    return read_piece(file, option=option)


def _divided(
    pieces: Pieces,
    fraction: float,
    validated: Pieces | None,
    tested: Pieces | None,
    name: str,
) -> tuple[Pieces, Pieces, Pieces]:
    """The three parts; validation and test may come from separate files."""
    cut = _within_pieces if len(pieces) < ENOUGH else _by_pieces
    if cut is _within_pieces and (validated is None or tested is None):
        say(
            f"{name} has {len(pieces)} pieces, fewer than {ENOUGH}, so the end of each "
            "is held out"
        )
    own = fraction if validated is None else 0.0
    train, validation, test = cut(pieces, own, 0.1 if tested is None else 0.0)
    return (
        train,
        validation if validated is None else validated,
        test if tested is None else tested,
    )


def _by_pieces(
    pieces: Pieces, validation: float, test: float
) -> tuple[Pieces, Pieces, Pieces]:
    """Every tenth piece is for the test, evenly spaced ones are for validation."""
    parts: tuple[Pieces, Pieces, Pieces] = ([], [], [])
    for place, piece in enumerate(pieces):
        tests = test and place % 10 == 9
        # Whether the expected count, rounded down, grows with this piece.
        validates = _floor((place + 2) * validation) > _floor((place + 1) * validation)
        parts[2 if tests else 1 if validates else 0].append(piece)
    return parts


def _floor(number: float) -> int:
    return int(number + 1e-9)


def _within_pieces(
    pieces: Pieces, validation: float, test: float
) -> tuple[Pieces, Pieces, Pieces]:
    parts: tuple[Pieces, Pieces, Pieces] = ([], [], [])
    for piece in pieces:
        end = round((1 - test) * len(piece))
        start = round((1 - test - validation) * len(piece))
        for part, frames in zip(
            parts, (piece[:start], piece[start:end], piece[end:]), strict=True
        ):
            if len(frames):
                part.append(frames)
    return parts
