"""Writes files and folders so that a kill or a full disk leaves the old or the new.

And reads files, of which none can hang the process.
"""

from __future__ import annotations

import contextlib
import fnmatch
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

# Bytes of a JSON file, and objects and lists in it: in memory they take ten times more.
LARGEST_JSON = 32 * 2**20
MOST_CONTAINERS = 500_000


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """Opens a file for reading, unless it is one that might never end.

    Raises:
        OSError: If it cannot be opened.
        ValueError: If it is a pipe or a device.
    """
    # Without blocking: otherwise opening a pipe without a writer never returns.
    file = open(path, "rb", opener=_opener)  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise ValueError("it is a pipe or a device, and must be a regular file")
    return file


def read_text(path: str | os.PathLike, *, at_most: int) -> str:
    """Reads a UTF-8 text file, after checking its size.

    Args:
        path: A regular file.
        at_most: Maximum size in bytes.

    Raises:
        OSError: If it cannot be opened or read.
        ValueError: If it is a pipe or a device, is larger, or is not UTF-8.

    Example:
        import pathlib
        from bptt_keras.files import read_text

        pathlib.Path("loss.txt").write_text("0.1")
        assert read_text("loss.txt", at_most=10) == "0.1"
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        # Not more than that: the file may be growing.
        content = file.read(size) if size <= at_most else b""
    if size > at_most:
        raise ValueError(f"it has {size:,} bytes, and at most {at_most:,} are read")
    return content.decode("utf-8")


def parse_json(text: str) -> Any:
    """Parses a JSON text of `LARGEST_JSON` characters at most.

    Raises:
        ValueError: If it is larger, is not JSON, is nested too deep, or has so many
            objects and lists that they would fill the memory.
    """
    if len(text) > LARGEST_JSON:
        raise ValueError(f"it has {len(text):,} characters, above {LARGEST_JSON:,}")
    if text.count("{") + text.count("[") > MOST_CONTAINERS:
        raise ValueError(f"it has more than {MOST_CONTAINERS:,} objects and lists")
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError("it is nested too deep") from None


def read_json(path: str | os.PathLike) -> Any:
    """Reads a JSON file; see `read_text` and `parse_json`."""
    return parse_json(read_text(path, at_most=LARGEST_JSON))


def refuse_links(folder: Path, *patterns: str) -> None:
    """Refuses links within a folder, through which files outside would be written.

    Args:
        folder: The folder; it may be missing, or be a link itself.
        *patterns: Of names that are written in it, with all that is in such a folder.

    Raises:
        ValueError: Names the first link.
    """
    for place, folders, files in os.walk(folder):
        for path in (Path(place, name) for name in [*folders, *files]):
            first = path.relative_to(folder).parts[0]
            written = any(fnmatch.fnmatch(first, pattern) for pattern in patterns)
            if written and path.is_symlink():
                raise ValueError(
                    f"{path} is a link, through which other files could be written. "
                    f"Remove it."
                )


def named_by_numpy(array: np.ndarray) -> np.ndarray:
    """The array, or its bits if NumPy's files cannot name its dtype, like bfloat16."""
    return array.view(f"u{array.itemsize}") if array.dtype.kind == "V" else array


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path that replaces `path` if the block ends without an error.

    Args:
        path: The file to write. Its folder must exist.

    Yields:
        A path in the same folder, with the same suffixes, to write to.

    Example:
        import pathlib
        from bptt_keras.files import replacing

        with replacing("loss.txt") as new:
            new.write_text("0.1")
        assert pathlib.Path("loss.txt").read_text() == "0.1"
    """
    path = Path(path)
    # The suffix stays, because Keras chooses the format by it.
    new = path.with_name(f".{os.getpid()}.{path.name}")
    try:
        yield new
        os.replace(new, path)
    finally:
        new.unlink(missing_ok=True)


def write_durably(path: str | os.PathLike, text: str) -> None:
    """Writes a UTF-8 text file so that it is on disk when this returns."""
    with open(path, "wb") as file:
        file.write(text.encode("utf-8"))
        file.flush()
        os.fsync(file.fileno())


def write_whole(path: str | os.PathLike, text: str) -> Path:
    """Replaces a UTF-8 text file: a kill leaves the whole old or the whole new one.

    Args:
        path: The file; its folder is created if it is missing.
        text: The new content; line endings are not changed.

    Returns:
        The path.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as new:
        write_durably(new, text)
    return path


@contextlib.contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """An empty folder that replaces `path` if the block ends without an error.

    This takes two renames; after a kill between them `recover_folder` restores the old
    folder.

    Args:
        path: The folder to write; an older one is replaced.

    Yields:
        A path in the same folder, to write to; it is removed if the block fails.
    """
    new, old = _beside(path, "new"), _beside(path, "old")
    recover_folder(path)
    for left in (new, old):
        shutil.rmtree(left, ignore_errors=True)
    new.mkdir(parents=True)
    try:
        yield new
        if path.exists():
            os.replace(path, old)
        os.replace(new, path)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(new, ignore_errors=True)


def recover_folder(path: Path) -> None:
    """Restores a folder whose replacement was killed between its two renames."""
    old = _beside(path, "old")
    if old.exists() and not path.exists():
        os.replace(old, path)


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f"{what}.{path.name}")
