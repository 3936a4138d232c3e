"""Checks that numbers are finite where they count."""

from __future__ import annotations

from collections.abc import Iterator

import keras
import numpy as np

from bptt_keras.types import Tensor

# Values checked at a time, so that a large array is not copied as a whole.
_CHUNK = 1 << 22


def is_finite(array: np.ndarray | Tensor, counts: np.ndarray | None = None) -> bool:
    """Whether an array holds neither NaN nor infinity where it counts.

    Args:
        array: Array or tensor `(rows, ...)` of any numbers; may be a memory map.
        counts: Booleans `(rows,)` or `(rows, time)`, or `None` (default): all count.
            With `(rows, time)`, an array `(rows, time, ...)` is checked timestep by
            timestep; in any other array, the rows that have a timestep that counts.
    """
    if "float" not in keras.backend.standardize_dtype(array.dtype):
        return True
    if counts is not None and counts.ndim == 2:
        timed = len(array.shape) > 1 and array.shape[1] == counts.shape[1]
        counts = counts if timed else np.asarray(counts.any(axis=1))
    start = 0
    for chunk in chunks(array):
        finite: np.ndarray = np.isfinite(chunk)
        stop = start + len(chunk)
        if counts is not None and not finite.all():
            axes = tuple(range(counts.ndim, finite.ndim))
            finite = finite.all(axis=axes) | ~counts[start:stop]
        if not finite.all():
            return False
        start = stop
    return True


def chunks(array: np.ndarray | Tensor) -> Iterator[np.ndarray]:
    """Yields the rows of an array or tensor as NumPy arrays, some rows at a time."""
    rows = max(1, _CHUNK // max(1, int(np.prod(array.shape[1:]))))
    for start in range(0, array.shape[0], rows):
        yield np.asarray(array[start : start + rows])
