"""Replaces folders atomically: a kill leaves the old version or the new one."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from zoo.system.files import named_errors


@contextlib.contextmanager
def new_folder(path: str | os.PathLike) -> Iterator[Path]:
    """An empty folder beside `path` that replaces it when the block succeeds.

    Args:
        path: The folder to write; an older one is replaced. Its parent must exist.

    Yields:
        A path in the same folder, to write to; it is removed if the block fails.

    Raises:
        ZooError: If the disk is full.
        UserError: If the folder cannot be written for another reason.

    Example:
        from zoo.system.folders import new_folder

        with new_folder("results") as new:
            (new / "loss.txt").write_text("0.1")
    """
    path = Path(path)
    new = _beside(path, "new")
    with named_errors(path, new):
        shutil.rmtree(new, ignore_errors=True)
        new.mkdir()
        try:
            yield new
            replace_folder(new, path)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def replace_folder(new: Path, path: Path) -> None:
    """Replaces the folder `path`, if it exists, by the complete folder `new`.

    This takes two renames: a kill between them leaves both versions intact under other
    names, which `recover_folder` corrects.

    Args:
        new: The new version.
        path: Its final path.
    """
    old = _beside(path, "old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        os.replace(path, old)
    os.replace(new, path)
    shutil.rmtree(old, ignore_errors=True)


def recover_folder(path: str | os.PathLike) -> Path:
    """Completes a replacement that was killed between its two renames.

    Args:
        path: The path of the folder.

    Returns:
        The path; it does not exist if it never did.
    """
    path, found = Path(path), whole_folder(path)
    if found != path:
        os.replace(found, path)
    return path


def whole_folder(path: str | os.PathLike) -> Path:
    """The newest intact version of a folder: its path, unless a kill left it elsewhere.

    Args:
        path: The path of the folder.
    """
    path = Path(path)
    old, new = _beside(path, "old"), _beside(path, "new")
    # The old version is renamed only when the new one is complete.
    if old.exists() and not path.exists():
        return new if new.exists() else old
    return path


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f".{what}.{path.name}")
