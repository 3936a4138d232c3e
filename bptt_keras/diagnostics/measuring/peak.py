"""The most memory that a function holds while it runs."""

from __future__ import annotations

import functools
import mmap
import os
import statistics
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from bptt_keras.arguments import whole
from bptt_keras.backend import has_gpu
from bptt_keras.training.programs.allocator import returning_memory, trimming

_MIB = 2**20
# Calls until each thread has returned what it kept: glibc does that for a thread's own
# heap only when that thread frees a large block.
_SETTLING = 4
# Looks at the memory during a call from which its peak is known.
_ENOUGH = 10
_CLEAR, _STATUS = "/proc/self/clear_refs", "/proc/self/status"
_PAGES, _PAGE = "/proc/self/statm", mmap.PAGESIZE


def peak_memory(function: Callable[[], Any], *, repeats: int = 3) -> float:
    """Measures how much a function raises the memory of this process while it runs.

    On a CPU this is the highest resident memory during a call minus the memory before
    it; meanwhile freed memory is returned to the system, which makes calls slower. In a
    call of some milliseconds it is looked at in between, right after all that is free
    has been returned; so memory that is held for less than that is not seen.
    Where TensorFlow uses oneDNN, whose allocator keeps freed memory, it is the larger
    of that and the memory of the tensors, each counted with its block, which may be
    twice as large; TF_ENABLE_ONEDNN_OPTS=0 in the environment gives closer figures. On
    a GPU it is the memory that TensorFlow allocates there. Run the function once
    beforehand, so that tracing and compiling are not measured.

    Args:
        function: A function without arguments.
        repeats: Number of calls, an integer >= 1, of which the median is taken. On a
            CPU four more come first, so that what threads had kept is returned.

    Returns:
        MiB, a float.

    Raises:
        RuntimeError: On a CPU under a system other than Linux.

    Example:
        import numpy as np, bptt_keras as bk

        def loop(steps):
            kept = [np.ones((128, 1024)) for _ in range(steps)]    # 1 MiB a step

        mib = [bk.diagnostics.peak_memory(lambda: loop(n)) for n in (20, 40)]
        assert 19 < mib[1] - mib[0] < 21           # what a step adds, it keeps
    """
    repeats = whole("repeats", repeats, unit="calls")
    if has_gpu():
        return statistics.median(
            _peak_of_tensors(function, "GPU:0") for _ in range(repeats)
        )
    if not can_measure():
        raise RuntimeError(
            f"Memory can be measured on a GPU, or under Linux. Here {_CLEAR} cannot be "
            "written."
        )
    with returning_memory() as give_back:
        for _ in range(_SETTLING):
            function()
        return statistics.median(_peak(function, give_back) for _ in range(repeats))


def memory_growth(
    function: Callable[[int], Any], lengths: Iterable[int], *, repeats: int = 3
) -> MemoryGrowth:
    """Measures how the memory of a function grows with the length of its input.

    Args:
        function: Function of a length T, such as a training loop over T timesteps.
        lengths: At least two integers >= 1, several powers of two apart. The function
            runs once with each before it is measured.
        repeats: As for `peak_memory`.

    Returns:
        `MemoryGrowth`.

    Raises:
        RuntimeError: On a CPU under a system other than Linux.
        ValueError: If there are fewer than two lengths.

    Example:
        import numpy as np, bptt_keras as bk

        def loop(steps):
            kept = [np.ones((128, 1024)) for _ in range(steps)]

        growth = bk.diagnostics.memory_growth(loop, [10, 40])
        assert growth.verdict().startswith("Memory grows with the length")
    """
    lengths = sorted({whole("lengths", length) for length in lengths})
    if len(lengths) < 2:
        raise ValueError(
            f"`lengths` must be two at least. Received: lengths={lengths}."
        )
    mib = []
    for length in lengths:
        function(length)
        run = functools.partial(function, length)
        mib.append(peak_memory(run, repeats=repeats))
    return MemoryGrowth(lengths, mib)


class MemoryGrowth:
    """Peak memory by length.

    Args:
        lengths: Integers, ascending.
        mib: Memory for each length, MiB.

    Attributes:
        lengths: Array.
        mib: Array.

    Example:
        import bptt_keras as bk

        growth = bk.diagnostics.MemoryGrowth([100, 200, 400], [10, 20, 40])
        assert abs(growth.exponent - 1) < 1e-6
    """

    def __init__(
        self, lengths: Sequence[int] | np.ndarray, mib: Sequence[float] | np.ndarray
    ):
        self.lengths = np.asarray(lengths, int)
        self.mib = np.asarray(mib, float)

    @property
    def exponent(self) -> float:
        """The p of the power law T^p that fits best."""
        # Less than a page cannot be measured.
        mib = np.log(np.maximum(self.mib, 0.01))
        return float(np.polyfit(np.log(self.lengths), mib, 1)[0])

    def verdict(self) -> str:
        """Says what the growth means, in words."""
        first, last = self.lengths[[0, -1]]
        numbers = (
            f"(T^{self.exponent:.2f}: {self.mib[0]:.3g} MiB at {first:,} timesteps, "
            f"{self.mib[-1]:.3g} at {last:,})"
        )
        if self.exponent > 0.7:
            return (
                f"Memory grows with the length {numbers}: every timestep is kept. In a "
                "loop over windows that means that the state is not detached between "
                "them, and gradients reach back to the start."
            )
        if self.exponent > 0.3:
            return f"Memory grows like the root of the length {numbers}."
        return f"Memory does not grow with the length {numbers}."

    def __str__(self) -> str:
        return self.verdict()


def can_measure() -> bool:
    """Whether `peak_memory` works here."""
    return has_gpu() or os.access(_CLEAR, os.W_OK)


def _peak(function: Callable[[], Any], give_back: Callable[[], Any]) -> float:
    give_back()
    with open(_CLEAR, "w") as file:
        # Resets the peak memory to the current memory.
        file.write("5")
    before, tensors = _status("VmRSS"), 0.0
    looks = _Looks()
    if _counts_tensors():
        tensors = _peak_of_tensors(function, "CPU:0")
    else:
        with looks:
            function()
    # What one thread has freed may still be there when another takes as much, and the
    # peak that the system knows counts both.
    highest = max(looks.found) if len(looks.found) >= _ENOUGH else _status("VmHWM")
    return max(highest - before, tensors, 0.0)


class _Looks:
    """Within: looks at the resident memory again and again, in MiB, as `found`."""

    def __init__(self) -> None:
        self.found: list[float] = []
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def _look(self) -> None:
        trim = trimming()
        with open(_PAGES, "rb", buffering=0) as file:
            while not self._ended.is_set():
                trim()
                pages = os.pread(file.fileno(), 100, 0).split()[1]
                self.found.append(int(pages) * _PAGE / _MIB)

    def __enter__(self) -> _Looks:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()


def _counts_tensors() -> bool:
    """Whether TensorFlow counts the memory of tensors on the CPU.

    It does where it uses oneDNN, whose allocator keeps freed memory: the system does
    not see what a function takes from this memory.
    """
    try:
        tf.config.experimental.reset_memory_stats("CPU:0")
    except ValueError:
        return False
    return True


def _peak_of_tensors(function: Callable[[], Any], device: str) -> float:
    tf.config.experimental.reset_memory_stats(device)
    before = tf.config.experimental.get_memory_info(device)["current"]
    function()
    peak = tf.config.experimental.get_memory_info(device)["peak"]
    return (peak - before) / _MIB


def _status(field: str) -> float:
    with open(_STATUS) as file:
        lines = [line for line in file if line.startswith(field)]
    return int(lines[0].split()[1]) / 1024
