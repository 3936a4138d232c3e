import os
import platform
import subprocess
import sys

import pytest

from bptt_keras.training.allocator import SWITCH, keep_freed_memory

# Page faults of taking, filling and freeing 64 MiB, again after a first time.
COUNT_FAULTS = """
import ctypes, resource
from bptt_keras.training.allocator import keep_freed_memory
print(keep_freed_memory())
libc = ctypes.CDLL(None)
libc.malloc.restype = ctypes.c_void_p
libc.malloc.argtypes = [ctypes.c_size_t]
libc.memset.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_size_t]
libc.free.argtypes = [ctypes.c_void_p]
for turn in range(2):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    block = libc.malloc(2**26)
    libc.memset(block, 1, 2**26)
    libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def faults(**environment):
    clean = {k: v for k, v in os.environ.items() if not k.startswith("MALLOC_")}
    clean.pop("GLIBC_TUNABLES", None)
    printed = subprocess.run(
        [sys.executable, "-c", COUNT_FAULTS],
        env=clean | environment,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.split()
    return printed[0], int(printed[1])


@pytest.mark.slow
@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="glibc's allocator")
def test_a_block_that_was_freed_is_used_again():
    kept, few = faults()
    given_back, many = faults(**{SWITCH: "0"})
    assert (kept, given_back) == ("True", "False")
    assert many > 1000 > 10 * few


def test_settings_of_the_environment_stand(monkeypatch):
    for name, value in [
        ("MALLOC_MMAP_MAX_", "0"),
        ("MALLOC_TRIM_THRESHOLD_", "1000000"),
        ("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),
    ]:
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert not keep_freed_memory()


def test_a_switch_that_is_neither_on_nor_off_is_refused(monkeypatch):
    monkeypatch.setenv(SWITCH, "yes")
    with pytest.raises(ValueError, match="must be 0 or 1. Received: 'yes'"):
        keep_freed_memory()
