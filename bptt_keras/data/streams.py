"""Cuts one long series into contiguous streams, and those into consecutive windows."""

from __future__ import annotations

import collections.abc
import numbers
import os
import tempfile
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.arguments import whole
from bptt_keras.data.origin import with_origin
from bptt_keras.types import Tensor


def streams(
    series: Any, *, batch_size: int, window: int, targets: Any = "next"
) -> tf.data.Dataset:
    """Batches of consecutive windows of one long series.

    The series is cut into `batch_size` contiguous streams of equal length,

        length = (n - 1) // batch_size        (n // batch_size with other targets)

    and stream `b` starts at timestep `b * length`. Batch `i` holds, row by row, the
    timesteps `[i * window, (i + 1) * window)` of each stream, so batch `i + 1`
    continues batch `i`. The last batch of a pass may be shorter. Up to `batch_size`
    timesteps at the end of the series that do not fill a row are left out.

    A pass over the dataset starts with `reset` flags, so each epoch of `fit` starts
    from the initial state. With `streams(...).repeat()` and `steps_per_epoch`, an epoch
    continues where the last one stopped, and only the start of the series is flagged.

    Args:
        series: The timesteps, in order: an array `(n,)` or `(n, features)`, a memory
            map, the path of a `.npy` file (it is mapped, not read), or an iterator over
            such arrays, the successive chunks. An iterator is first copied to a
            temporary file on disk, which is gone when the program ends. For a model
            with several inputs, a dict or tuple of these of equal length.
        batch_size: Number of streams, an integer >= 1.
        window: Timesteps in a batch, an integer >= 1: the `window` of the trainer, or
            a multiple of it.
        targets: `"next"` (default): the timestep that follows; `None`: no targets; or
            an array `(n, ...)` with one target per timestep, or a dict or tuple of such
            arrays.

    Returns:
        `tf.data.Dataset`, prefetched, of `(x, y)`, or of `(x,)` without targets. `x` is
        a dict of `inputs` `(batch_size, window, ...)`, `reset` `(batch_size,)` booleans
        and `position` `(batch_size,)`, the position of the first timestep in its
        stream, from which the trainer notices a shuffled stream. `y` is `(batch_size,
        window, ...)`. `x` and `y` have the structure of `series` and `targets`.
        Floating-point series are returned in `keras.config.floatx()`.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a number is less than 1, `targets` does not match `series`, or
            the series is shorter than one window per stream.

    Example:
        import numpy as np, bptt_keras as bk

        dataset = bk.data.streams(np.arange(21), batch_size=2, window=4)
        batches = [(x["inputs"].numpy(), y.numpy()) for x, y in dataset]
        assert batches[0][0].tolist() == [[0, 1, 2, 3], [10, 11, 12, 13]]
        assert batches[1][0].tolist() == [[4, 5, 6, 7], [14, 15, 16, 17]]
        assert batches[2][1].tolist() == [[9, 10], [19, 20]]
    """
    batch_size = whole("batch_size", batch_size, unit=None)
    window = whole("window", window, unit=None)
    series = _as_arrays(series, "series")
    total = _common_length(series)
    follows = isinstance(targets, str)
    targets = _as_targets(targets, series, total)
    length = (total - follows) // batch_size
    if length < window:
        raise ValueError(
            f"`series` must hold at least one window for each stream: {batch_size} "
            f"streams of {window} timesteps need {batch_size * window + follows}. "
            f"Received: a series of {total} timesteps. Use fewer streams or a "
            f"shorter window."
        )
    read_x, read_y = (_readers(part, batch_size, length) for part in (series, targets))
    static = window if length % window == 0 else None

    def batch(index: Tensor) -> tuple[Any, ...]:
        start = index * window
        stop = tf.minimum(start + window, length)
        x = {
            "inputs": read_x(start, stop, static),
            "reset": tf.fill([batch_size], tf.equal(start, 0)),
            "position": tf.fill([batch_size], start),
        }
        return (x,) if targets is None else (x, read_y(start, stop, static))

    count = tf.constant(-(-length // window), tf.int64)
    dataset = tf.data.Dataset.range(count).map(batch)
    options = tf.data.Options()
    # Nothing here can be tuned, and TensorFlow's tuner delays the end of an epoch until
    # its next round, which may be minutes away (TensorFlow 2.21).
    options.autotune.enabled = False
    dataset = dataset.prefetch(2).with_options(options)
    return with_origin(dataset, tf.nest.flatten([series, targets]))


def _as_arrays(given: Any, name: str) -> Any:
    """An array, or a dict or tuple of arrays."""
    if isinstance(given, dict):
        return {key: _as_array(part, f"{name}[{key!r}]") for key, part in given.items()}
    side_by_side = isinstance(given, tuple) and not all(
        isinstance(part, numbers.Number) for part in given
    )
    if side_by_side:
        return tuple(_as_array(part, f"{name}[{i}]") for i, part in enumerate(given))
    return _as_array(given, name)


def _as_array(series: Any, name: str) -> np.ndarray:
    if isinstance(series, str | os.PathLike):
        series = np.load(series, mmap_mode="r", allow_pickle=False)
    elif isinstance(series, collections.abc.Iterator):
        series = _spooled(series)
    elif not isinstance(series, np.ndarray):
        series = np.asarray(series)
    if series.ndim < 1:
        raise ValueError(
            f"`{name}` must have the shape (n,) or (n, features). Received: {name} of "
            f"shape {series.shape}."
        )
    if series.dtype.kind not in "iuf":
        raise TypeError(
            f"`{name}` must hold integers or floating-point numbers. Received: {name} "
            f"of dtype {series.dtype}. Turn text into ids first."
        )
    return series


def _common_length(series: Any) -> int:
    lengths = [len(part) for part in tf.nest.flatten(series)]
    if len(set(lengths)) != 1:
        raise ValueError(
            f"The parts of `series` must have one length. Received: {lengths} "
            f"timesteps."
        )
    return lengths[0]


def _as_targets(targets: Any, series: Any, total: int) -> Any:
    if targets is None:
        return None
    if isinstance(targets, str):
        if targets != "next":
            raise ValueError(
                f"`targets` must be 'next', None or an array. Received: "
                f"targets={targets!r}."
            )
        return tf.nest.map_structure(lambda part: part[1:], series)
    targets = _as_arrays(targets, "targets")
    for part in tf.nest.flatten(targets):
        if len(part) != total:
            raise ValueError(
                f"`targets` must hold one target for each timestep. Received: "
                f"{len(part)} targets for a series of {total} timesteps."
            )
    return targets


def _spooled(chunks: Iterator[Any]) -> np.ndarray:
    """The chunks of an iterator, concatenated in a memory-mapped file."""
    handle, path = tempfile.mkstemp(suffix=".series")
    shape: tuple[int, ...] | None = None
    dtype: np.dtype | None = None
    total = 0
    try:
        with os.fdopen(handle, "wb") as file:
            for chunk in chunks:
                chunk = np.ascontiguousarray(np.atleast_1d(chunk))
                shape = chunk.shape[1:] if shape is None else shape
                dtype = chunk.dtype if dtype is None else dtype
                if chunk.shape[1:] != shape or chunk.dtype != dtype:
                    raise ValueError(
                        f"All chunks of `series` must have one dtype and one shape "
                        f"beyond time. Expected: {dtype} (n, *{shape}). Received: "
                        f"{chunk.dtype} {chunk.shape}."
                    )
                file.write(chunk.tobytes())
                total += len(chunk)
        if total == 0 or shape is None or dtype is None:
            raise ValueError("`series` must not be empty. Received: an empty iterator.")
        mapped = np.memmap(path, dtype=dtype, mode="r", shape=(total, *shape))
    except BaseException:
        os.unlink(path)
        raise
    try:
        # A mapped file stays readable without a name, and nothing is left behind.
        os.unlink(path)
    except PermissionError:  # Windows keeps the name as long as the file is mapped.
        weakref.finalize(mapped, os.unlink, path)
    return mapped


def _readers(arrays: Any, batch_size: int, length: int) -> Callable[..., Any]:
    """A function from positions in a stream to the timesteps of all arrays there."""
    readers = tf.nest.map_structure(
        lambda array: None if array is None else _reader(array, batch_size, length),
        arrays,
    )
    return lambda *place: tf.nest.map_structure(lambda read: read(*place), readers)


def _reader(array: np.ndarray, batch_size: int, length: int) -> Callable[..., Tensor]:
    """A function `(start, stop, steps)` to the timesteps there of all streams.

    An array in memory is read in the graph itself. A memory map is read window by
    window, in NumPy, so that it is never in memory as a whole.
    """
    dtype = keras.config.floatx() if array.dtype.kind == "f" else array.dtype
    rest = array.shape[1:]
    # A view, also of a memory map.
    rows = array[: batch_size * length].reshape(batch_size, length, *rest)
    if _is_mapped(array):

        def read(start: int, stop: int) -> np.ndarray:
            return np.array(rows[:, start:stop])

        def values_at(start: Tensor, stop: Tensor) -> Tensor:
            return tf.numpy_function(read, [start, stop], array.dtype, stateful=False)

    else:
        tensor = tf.constant(rows, dtype)

        def values_at(start: Tensor, stop: Tensor) -> Tensor:
            return tensor[:, start:stop]

    def reader(start: Tensor, stop: Tensor, steps: int | None) -> Tensor:
        values = tf.cast(values_at(start, stop), dtype)
        return tf.ensure_shape(values, [batch_size, steps, *rest])

    return reader


def _is_mapped(array: Any) -> bool:
    while isinstance(array, np.ndarray):
        if isinstance(array, np.memmap):
            return True
        array = array.base
    return False
