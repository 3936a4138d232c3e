"""Keeps memory that a window frees for the next one, on a CPU.

XLA asks for one large block each time a program runs. By default glibc takes it from
the system and gives it back each time, and all its pages have to be mapped anew.
`python -m tests.benchmarks.allocator` measures what that costs.

Nothing is set without glibc, with a GPU, where the environment variable
BPTT_KERAS_KEEP_MEMORY is 0, or where the environment has settings of its own
(MALLOC_MMAP_MAX_, MALLOC_TOP_PAD_, MALLOC_TRIM_THRESHOLD_, GLIBC_TUNABLES with
`glibc.malloc`).
"""

from __future__ import annotations

import contextlib
import ctypes
import gc
import os
import platform
from collections.abc import Callable, Iterator
from typing import Any

from bptt_keras.backend import has_gpu

SWITCH = "BPTT_KERAS_KEEP_MEMORY"
# Parameters of `mallopt`, from glibc's <malloc.h>.
_TRIM_THRESHOLD, _TOP_PAD, _MMAP_THRESHOLD, _MMAP_MAX = -1, -2, -3, -4
_OWN = {"MALLOC_MMAP_MAX_", "MALLOC_TOP_PAD_", "MALLOC_TRIM_THRESHOLD_"}
_TWO_GIB = 2**31 - 1
# glibc gives each thread heaps of 64 MiB at most, and an empty one back to the system
# whatever the trim threshold is, unless the one before it has less room than this.
_ABOVE_A_HEAP = 2**27
# The trim threshold is the last one: setting the others changes it.
_KEEP = [(_MMAP_MAX, 0), (_TOP_PAD, _ABOVE_A_HEAP), (_TRIM_THRESHOLD, _TWO_GIB)]
_DEFAULT = [
    (_MMAP_MAX, 2**16),
    (_TOP_PAD, 2**17),
    (_MMAP_THRESHOLD, 2**17),
    (_TRIM_THRESHOLD, 2**17),
]
_RETURN = [
    (_MMAP_MAX, 2**16),
    (_TOP_PAD, 0),
    (_MMAP_THRESHOLD, 2**16),
    (_TRIM_THRESHOLD, 2**16),
]
_state = {"kept": False}


def keep_freed_memory() -> bool:
    """Lets this process keep large blocks that it frees, up to 2 GiB of them.

    Blocks of more than 64 MiB are kept in the main thread alone: the heaps of other
    threads have no room for them.

    Returns:
        True if the process keeps what it frees, because of this call.

    Raises:
        ValueError: If BPTT_KERAS_KEEP_MEMORY is neither 0 nor 1.
    """
    wanted = os.environ.get(SWITCH, "1")
    if wanted not in ("0", "1"):
        raise ValueError(
            f"The environment variable {SWITCH} must be 0 or 1. Received: {wanted!r}."
        )
    if wanted == "0" or not _is_ours() or has_gpu():
        return False
    kept = _set(_KEEP)
    _state["kept"] = kept
    return kept


@contextlib.contextmanager
def returning_memory() -> Iterator[Callable[[], Any]]:
    """Within: large blocks go back to the system when they are freed.

    For measurements of memory: each block of 64 KiB or more gets pages of its own, so
    what a process holds is what its program holds. Without glibc, or where the
    environment has settings of its own, this does nothing.

    Yields:
        A function that gives back what is free inside of heaps, too.
    """
    if not _is_ours():
        yield gc.collect
        return

    def give_back() -> None:
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)

    _set(_RETURN)
    try:
        yield give_back
    finally:
        _set(_KEEP if _state["kept"] else _DEFAULT)


def _is_ours() -> bool:
    """True with glibc, unless the environment tunes it."""
    tuned = "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    own = bool(_OWN & os.environ.keys()) or tuned
    return platform.libc_ver()[0] == "glibc" and not own


def _set(settings: list[tuple[int, int]]) -> bool:
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(name, value) for name, value in settings])
