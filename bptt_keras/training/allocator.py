"""Memory that a window frees is kept for the next one, on a CPU.

XLA asks for one large block each time a program runs. By default glibc takes it from
the system and gives it back each time, and all its pages have to be mapped anew.
`python -m tests.benchmarks.allocator` measures what that costs.

Nothing is set without glibc, where the environment variable BPTT_KERAS_KEEP_MEMORY is
0, or where the environment sets the same (MALLOC_ARENA_MAX, MALLOC_MMAP_MAX_,
MALLOC_TRIM_THRESHOLD_, GLIBC_TUNABLES with `glibc.malloc`).
"""

import ctypes
import os
import platform

from bptt_keras.backend import has_gpu

SWITCH = "BPTT_KERAS_KEEP_MEMORY"
# Parameters of `mallopt`, from glibc's <malloc.h>.
_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
_TWO_GIB = 2**31 - 1


def use_one_arena():
    """Lets threads that start from now on take memory from the process' main heap.

    glibc gives each thread a heap of its own, of 64 MiB at most. It gives such a heap
    back to the system whenever it is empty, and so does it with each larger block,
    whatever `keep_freed_memory` asks for. TensorFlow's threads start with its first
    operation; so the package calls this when it is imported.

    Returns:
        True if it is set.

    Raises:
        ValueError: If BPTT_KERAS_KEEP_MEMORY is neither 0 nor 1.
    """
    return _may_set("MALLOC_ARENA_MAX") and _set(_ARENA_MAX, 1)


def keep_freed_memory():
    """Lets this process keep large blocks that it frees, up to 2 GiB of them.

    Nothing happens where there is a GPU.

    Returns:
        True if the process keeps what it frees, because of this call.

    Raises:
        ValueError: If BPTT_KERAS_KEEP_MEMORY is neither 0 nor 1.
    """
    if not _may_set("MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_") or has_gpu():
        return False
    return _set(_MMAP_MAX, 0) and _set(_TRIM_THRESHOLD, _TWO_GIB)


def _may_set(*names):
    """Whether neither the switch nor one of these variables says otherwise."""
    wanted = os.environ.get(SWITCH, "1")
    if wanted not in ("0", "1"):
        raise ValueError(
            f"The environment variable {SWITCH} must be 0 or 1. Received: {wanted!r}."
        )
    tuned = "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if wanted == "0" or tuned or any(name in os.environ for name in names):
        return False
    return platform.libc_ver()[0] == "glibc"


def _set(parameter, value):
    return bool(ctypes.CDLL(None).mallopt(parameter, value))
