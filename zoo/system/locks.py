"""Locks, for work that only one process at a time may do."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from filelock import FileLock, Timeout

from zoo.system.errors import UserError, ZooError

LOCK = ".lock"  # in the folder of a training

WAIT = 900  # seconds to wait for another process that does the same


@contextlib.contextmanager
def one_at_a_time(lock: Path, doing: str) -> Iterator[None]:
    """A context that only one process at a time enters; the others wait.

    Args:
        lock: A file, whose folder exists.
        doing: What the process does, for the error.

    Raises:
        ZooError: If another process holds the lock for too long.

    Example:
        from pathlib import Path
        from zoo.system.locks import one_at_a_time

        with one_at_a_time(Path(".results.lock"), "writing results"):
            Path("results.txt").write_text("0.1")
    """
    refusal = ZooError(
        f"Another process has been {doing} for {WAIT} s. If none is, remove {lock}."
    )
    with _locked(lock, WAIT, refusal):
        yield


@contextlib.contextmanager
def alone_in(folder: str | os.PathLike) -> Iterator[None]:
    """A context in which no other process trains into the same folder.

    Args:
        folder: An existing folder; a file `.lock` is left in it.

    Raises:
        UserError: If another process does.

    Example:
        from zoo.system.locks import alone_in

        with alone_in("."):
            print("nobody else writes here")
    """
    refusal = UserError(
        f"Another process trains in {folder}. Wait for its end, or choose another "
        "folder."
    )
    with _locked(Path(folder) / LOCK, 0, refusal):
        yield


@contextlib.contextmanager
def _locked(lock: Path, wait: float, refusal: ZooError) -> Iterator[None]:
    """A context that holds the lock; raises `refusal` if it takes over `wait` s."""
    taken = FileLock(lock, timeout=wait)
    try:
        taken.acquire()
    except Timeout:
        raise refusal from None
    try:
        yield
    finally:
        taken.release()
