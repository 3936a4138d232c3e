"""Keeps memory that a window frees for the next one, on a CPU.

XLA allocates one large block each time a program runs. By default glibc requests it
from the system and returns it each time, so all its pages have to be mapped again.
`python -m tests.benchmarks.allocator` measures the cost.

Nothing is changed without glibc, with a GPU, if the environment variable
BPTT_KERAS_KEEP_MEMORY is 0, or if the environment already tunes glibc
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
# glibc gives each thread heaps of at most 64 MiB. It returns an empty one to the system
# whatever the trim threshold, unless the heap before it has less room than this.
_ABOVE_A_HEAP = 2**27
# The trim threshold comes last, because setting the others changes it.
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
    """Makes this process keep large blocks that it frees, up to 2 GiB in total.

    Blocks of more than 64 MiB are kept only in the main thread: the heaps of other
    threads have no room for them.

    Returns:
        True if this call made the process keep what it frees.

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
    """Within: large blocks are returned to the system when they are freed.

    For measurements of memory: each block of 64 KiB or more gets its own pages, so the
    process holds only what its program holds. Without glibc, or if the environment
    already tunes it, this does nothing.

    Yields:
        A function that also returns free memory inside heaps.
    """
    if not _is_ours():
        yield gc.collect
        return

    trim = trimming()

    def give_back() -> None:
        gc.collect()
        trim()

    _set(_RETURN)
    try:
        yield give_back
    finally:
        _set(_KEEP if _state["kept"] else _DEFAULT)


def trimming() -> Callable[[], Any]:
    """A function that returns free memory inside heaps, or does nothing."""
    if not _is_ours():
        return lambda: None
    malloc_trim = ctypes.CDLL(None).malloc_trim
    return lambda: malloc_trim(0)


def _is_ours() -> bool:
    """True with glibc, unless the environment tunes it."""
    tuned = "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    own = bool(_OWN & os.environ.keys()) or tuned
    return platform.libc_ver()[0] == "glibc" and not own


def _set(settings: list[tuple[int, int]]) -> bool:
    mallopt = ctypes.CDLL(None).mallopt
    return all([mallopt(name, value) for name, value in settings])
