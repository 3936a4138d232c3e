import os
import platform
import subprocess
import sys

import pytest

from bptt_keras.training.allocator import (
    SWITCH,
    keep_freed_memory,
    use_one_arena,
)

# Page faults of taking, filling and freeing memory, again after a first time. All that
# the import sets is set; the blocks are taken by a thread that starts after it.
COUNT_FAULTS = """
import ctypes, resource, sys, threading
import bptt_keras
from bptt_keras.training.allocator import keep_freed_memory
print(keep_freed_memory())
size = int(sys.argv[1])
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
def count():
    for turn in range(2):
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        block = libc.malloc(size)
        libc.memset(block, 1, size)
        libc.free(block)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
thread = threading.Thread(target=count)
thread.start()
thread.join()
"""


def faults(size, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    clean.pop("GLIBC_TUNABLES", None)
    printed = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS, str(size)],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return printed[0], int(printed[1])


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
# A thread's own heap holds 64 MiB: less is given back in another way than more.
@pytest.mark.parametrize("size", [2**25, 2**27])
def test_a_block_that_a_thread_freed_is_used_again(size):
    kept, few = faults(size)
    given_back, many = faults(size, **{SWITCH: "0"})
    assert (kept, given_back) == ("True", "False")
    assert many > 1000 > 10 * few


@pytest.mark.parametrize(
    ("name", "value", "kept_by"),
    [
        ("MALLOC_ARENA_MAX", "4", use_one_arena),
        ("MALLOC_MMAP_MAX_", "0", keep_freed_memory),
        ("MALLOC_TRIM_THRESHOLD_", "1000000", keep_freed_memory),
        ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", use_one_arena),
        ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", keep_freed_memory),
        (SWITCH, "0", use_one_arena),
        (SWITCH, "0", keep_freed_memory),
    ],
)
def test_settings_of_the_environment_stand(monkeypatch, name, value, kept_by):
    monkeypatch.setenv(name, value)
    assert not kept_by()


@pytest.mark.parametrize("kept_by", [use_one_arena, keep_freed_memory])
def test_a_switch_that_is_neither_on_nor_off_is_refused(monkeypatch, kept_by):
    monkeypatch.setenv(SWITCH, "yes")
    with pytest.raises(ValueError, match="must be 0 or 1. Received: 'yes'"):
        kept_by()
