"""Logs that callbacks append to: what was written after a save is cut off again."""

from __future__ import annotations

import os
from typing import Any

import keras


def file_sizes(callbacks: list[Any]) -> list[int | None]:
    """The sizes of the files of `CSVLogger`s in bytes; `None` for other callbacks."""
    return [
        os.path.getsize(c.filename) if _logs(c) and os.path.exists(c.filename) else None
        for c in callbacks
    ]


def cut_files(callbacks: list[Any], sizes: list[int | None]) -> None:
    """Cuts the files to those sizes; called before the callbacks open them.

    Raises:
        ValueError: If a file is missing or shorter, or there are not as many sizes.
    """
    if len(callbacks) != len(sizes):
        raise ValueError(
            f"The saves are of another training, with {len(sizes)} callbacks. "
            f"Received: {len(callbacks)}."
        )
    for callback, size in zip(callbacks, sizes, strict=True):
        if not _logs(callback) or size is None:
            continue
        path = callback.filename
        there = os.path.getsize(path) if os.path.exists(path) else 0
        if there < size:
            raise ValueError(
                f"The log {path} had {size} bytes when the training was saved. "
                f"Received: {there} bytes. Put the file back, or give the training "
                f"another folder to begin anew."
            )
        os.truncate(path, size)
        # Otherwise it would begin with an empty file.
        callback.append = True


def append_to_files(callbacks: list[Any], sizes: list[int | None]) -> None:
    """Keeps callbacks from writing a heading again; called when state is restored."""
    for callback, size in zip(callbacks, sizes, strict=True):
        if _logs(callback) and size is not None:
            callback.append_header = size == 0


def _logs(callback: Any) -> bool:
    return isinstance(callback, keras.callbacks.CSVLogger)
