import os
import platform
import subprocess
import sys

import pytest

from bptt_keras.training.programs.allocator import SWITCH, keep_freed_memory

# Page faults of taking, filling and freeing memory, again after a first time.
COUNT_FAULTS = """
import ctypes, resource, sys, threading
from bptt_keras.training.programs.allocator import keep_freed_memory
print(keep_freed_memory())
size, in_a_thread = int(sys.argv[1]), sys.argv[2] == "True"
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
if in_a_thread:
    thread = threading.Thread(target=count)
    thread.start()
    thread.join()
else:
    count()
"""


def faults(size, in_a_thread, **environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    clean.pop("GLIBC_TUNABLES", None)
    printed = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS, str(size), str(in_a_thread)],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return printed[0], int(printed[1])


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
# A thread's own heap holds 64 MiB.
@pytest.mark.parametrize(
    ("size", "in_a_thread"), [(2**27, False), (2**25, False), (2**25, True)]
)
def test_a_block_that_was_freed_is_used_again(size, in_a_thread):
    kept, few = faults(size, in_a_thread)
    given_back, many = faults(size, in_a_thread, **{SWITCH: "0"})
    assert (kept, given_back) == ("True", "False")
    assert many > 1000 > 10 * few


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MALLOC_MMAP_MAX_", "0"),
        ("MALLOC_TOP_PAD_", "0"),
        ("MALLOC_TRIM_THRESHOLD_", "1000000"),
        ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
        (SWITCH, "0"),
    ],
)
def test_settings_of_the_environment_are_kept(monkeypatch, name, value):
    monkeypatch.setenv(name, value)
    assert not keep_freed_memory()


def test_a_switch_must_be_on_or_off(monkeypatch):
    monkeypatch.setenv(SWITCH, "yes")
    with pytest.raises(ValueError, match="must be 0 or 1. Received: 'yes'"):
        keep_freed_memory()
