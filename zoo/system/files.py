"""Writes files atomically: a kill never leaves one half written."""

from __future__ import annotations

import contextlib
import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from zoo.system.errors import UserError, ZooError


@contextlib.contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside `path`, renamed to it when the block succeeds.

    Args:
        path: The file to write. Its folder must exist.

    Yields:
        A path in the same folder, with the same suffixes, to write to.

    Raises:
        ZooError: If the disk is full.
        UserError: If the file cannot be written for another reason.

    Example:
        from zoo.system.files import atomic_path

        with atomic_path("history.json") as temporary:
            temporary.write_text("{}")
    """
    path = Path(path)
    # Keep the suffix: Keras and matplotlib choose the format by it.
    temporary = path.with_name(f".{os.getpid()}.{path.name}")
    with named_errors(path, temporary):
        try:
            yield temporary
            os.replace(temporary, path)
        finally:
            temporary.unlink(missing_ok=True)


def write_text(path: str | os.PathLike, text: str) -> None:
    """Writes a UTF-8 text file atomically, with the line endings it has."""
    with atomic_path(path) as temporary:
        temporary.write_bytes(text.encode("utf-8"))


def write_bytes(path: str | os.PathLike, content: bytes | memoryview) -> None:
    """Writes a file atomically, and waits until it is on disk."""
    with atomic_path(path) as temporary, open(temporary, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Writes a JSON file atomically, indented, keys in the order given."""
    write_text(path, as_json(value))


def as_json(value: Any) -> str:
    """The text that `write_json` writes."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


@contextlib.contextmanager
def named_errors(path: Path, temporary: Path) -> Iterator[None]:
    """A context in which errors of a temporary path name the final path instead."""
    try:
        yield
    except OSError as error:
        # The error has no file name if it came from a write.
        name = "" if error.filename is None else os.fspath(error.filename)
        if name and not str(name).startswith(str(temporary)):
            raise
        raise cannot_write(path, error) from error
    except ZooError as error:
        # The same for a file in a temporary folder.
        cause = error.__cause__
        if not isinstance(cause, OSError) or str(temporary) not in str(error):
            raise
        raise cannot_write(path, cause) from cause


def make_folder(path: str | os.PathLike) -> None:
    """Creates a folder and its parents, if they are missing.

    Raises:
        ZooError: If that fails; names the folder and the reason.
    """
    try:
        Path(path).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from None


def cannot_write(path: str | os.PathLike, error: OSError) -> ZooError:
    """The error for a file that cannot be written, which names it and the reason.

    Args:
        path: The file to write.
        error: The system's error.
    """
    reason = error.strerror or error
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return ZooError(f"There is no room for {path} ({reason}).")
    return UserError(f"{path} cannot be written ({reason}).")
