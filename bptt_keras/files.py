"""Writes files and folders so that a kill or a full disk leaves the old or the new."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path


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
