"""Memory that a window frees is kept for the next one, on a CPU."""

import ctypes
import os
import platform

from bptt_keras.backend import has_gpu

SWITCH = "BPTT_KERAS_KEEP_MEMORY"
# Parameters of `mallopt`, from glibc's <malloc.h>.
_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_TWO_GIB = 2**31 - 1


def keep_freed_memory():
    """Lets this process keep large blocks that it frees, up to 2 GiB of them.

    XLA asks for one large block each time a program runs. By default glibc takes it
    from the system and gives it back each time, and all its pages have to be mapped
    anew. `python -m tests.benchmarks.allocator` measures what that costs.

    Nothing happens without glibc, with a GPU, where the environment variable
    BPTT_KERAS_KEEP_MEMORY is 0, or where the environment has settings of its own
    (MALLOC_MMAP_MAX_, MALLOC_TRIM_THRESHOLD_, GLIBC_TUNABLES with `glibc.malloc`).

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
    own = {"MALLOC_MMAP_MAX_", "MALLOC_TRIM_THRESHOLD_"} & os.environ.keys()
    tuned = "glibc.malloc" in os.environ.get("GLIBC_TUNABLES", "")
    if wanted == "0" or own or tuned or platform.libc_ver()[0] != "glibc":
        return False
    if has_gpu():
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return bool(mallopt(_MMAP_MAX, 0) and mallopt(_TRIM_THRESHOLD, _TWO_GIB))
