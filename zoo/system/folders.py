"""Folders that a kill leaves whole: the old version or the new one."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from zoo.system.files import named_errors


@contextlib.contextmanager
def new_folder(
    path: str | os.PathLike, *, keep: str | os.PathLike | None = None
) -> Iterator[Path]:
    """An empty folder beside `path` that takes its place when the block ends well.

    Args:
        path: The folder to write; an older one is replaced. The folder above must
            exist.
        keep: As in `replace_folder`.

    Yields:
        A path in the same folder, to write to; it is gone if the block fails.

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
            replace_folder(new, path, keep=keep)
        finally:
            shutil.rmtree(new, ignore_errors=True)


def replace_folder(
    new: Path, path: Path, *, keep: str | os.PathLike | None = None
) -> None:
    """Puts the complete folder `new` in the place of `path`, which may exist.

    Two renames: a kill between them leaves both versions whole, under other names,
    which `recover_folder` puts right.

    Args:
        new: The new version.
        path: Its place.
        keep: Another name in the same folder, which the older version takes; None: it
            is removed.
    """
    old = _beside(path, "old")
    shutil.rmtree(old, ignore_errors=True)
    if path.exists():
        os.replace(path, old)
    os.replace(new, path)
    if keep is not None and old.exists():
        shutil.rmtree(keep, ignore_errors=True)
        os.replace(old, keep)
    shutil.rmtree(old, ignore_errors=True)


def recover_folder(path: str | os.PathLike) -> Path:
    """Ends a replacement that was killed between its two renames.

    Args:
        path: The place of the folder.

    Returns:
        The place; nothing is there if nothing ever was.
    """
    path, found = Path(path), whole_folder(path)
    if found != path:
        os.replace(found, path)
    return path


def whole_folder(path: str | os.PathLike) -> Path:
    """Where the newest whole version of a folder is; its place, but after such a kill.

    Args:
        path: The place of the folder.
    """
    path = Path(path)
    old, new = _beside(path, "old"), _beside(path, "new")
    # The old version leaves its place only when the new one is complete.
    if old.exists() and not path.exists():
        return new if new.exists() else old
    return path


def _beside(path: Path, what: str) -> Path:
    return path.with_name(f".{what}.{path.name}")
