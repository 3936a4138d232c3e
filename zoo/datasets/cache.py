"""The cache folder of prepared data sets and downloads."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from zoo.system.errors import UserError

VARIABLE = "BPTT_ZOO_CACHE"


def cache_folder() -> Path:
    """`$BPTT_ZOO_CACHE`, or `~/.cache/bptt_zoo` if that is unset or empty.

    Raises:
        UserError: If it is, and there is no home folder.
    """
    try:
        return Path(os.environ.get(VARIABLE) or "~/.cache/bptt_zoo").expanduser()
    except RuntimeError:
        raise UserError(
            "This user has no home folder to keep downloads in. Name a folder with the "
            f"environment variable {VARIABLE}."
        ) from None


@contextlib.contextmanager
def usable_cache() -> Iterator[None]:
    """A context in which failures to read or write a file blame the cache folder.

    Raises:
        UserError: Instead of `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise UserError(
            f"The cache folder {cache_folder()} cannot be used "
            f"({error.strerror or error}). Name another with the environment variable "
            f"{VARIABLE}."
        ) from None
