"""Tables, lists, variables and the like as arrays and tensors of numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from bptt_keras.data.sequences import is_table

_TENSORS = tf.Tensor | tf.RaggedTensor | tf.SparseTensor


def from_containers(value: Any) -> Any:
    """The value with arrays for tables, variables, masked arrays and the like.

    Args:
        value: An array, tensor, `tf.Variable`, pandas object or anything else that
            NumPy reads; or a dict, list or tuple of these.

    Returns:
        The same structure of NumPy arrays and tensors. Numbers and lists of numbers
        are left unchanged.

    Raises:
        ValueError: If a masked array masks anything.
    """
    return _mapped(_array, value)


def as_arrays(value: Any, *, count: int = 1, rows: int | None = None) -> Any:
    """The value with arrays for lists of numbers, too.

    Args:
        value: From `from_containers`: the inputs, targets or weights of a model.
        count: Number of arrays that the model expects. A list of that length holds
            one array each.
        rows: Rows of the data, if known. If the model expects one array, a list of
            that length holds its rows.

    Returns:
        The structure of arrays that Keras takes.
    """
    if isinstance(value, dict):
        return {key: as_arrays(part, rows=rows) for key, part in value.items()}
    if not isinstance(value, list | tuple):
        return value
    if count > 1 and len(value) == count:
        return type(value)([as_arrays(part, rows=rows) for part in value])
    if is_table(value) or (count == 1 and len(value) == rows and rows > 1):
        return _joined(value)
    return value


def _mapped(function: Callable[[Any], Any], value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _mapped(function, part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        # Avoid walking through a long list of numbers.
        if is_table(value):
            return value
        parts = [_mapped(function, part) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    return function(value)


def _array(value: Any) -> Any:
    if isinstance(value, np.ma.MaskedArray) and np.ma.is_masked(value):
        raise ValueError(
            f"Masked values are not left out automatically. Received: a masked array "
            f"with {np.ma.count_masked(value)} masked values. Fill them, "
            f"`array.filled(0)`, and pass the valid timesteps as "
            f"{{'inputs': ..., 'mask': ...}} or `sample_weight`."
        )
    if isinstance(value, tf.Variable):
        return tf.convert_to_tensor(value)
    # An array has at least one axis; a NumPy scalar is not an array.
    if isinstance(value, _TENSORS) or not hasattr(value, "__array__"):
        return value
    array = value if type(value) is np.memmap else np.asarray(value)
    if array.dtype.kind == "O" and array.ndim:
        return _of_objects(array)
    return array if array.ndim else value


def _of_objects(array: np.ndarray) -> np.ndarray:
    """An array of numbers if the objects are numbers, else the array as it was."""
    if array.ndim == 1 and any(hasattr(item, "__len__") for item in array):
        return array
    found = np.asarray(array.tolist())
    return found if found.dtype.kind in "iufb" else array


def _joined(value: list[Any] | tuple[Any, ...]) -> Any:
    """One array from nested lists or arrays, or the value itself if shapes differ."""
    try:
        array = np.asarray(value)
    except ValueError:
        return value
    return value if array.dtype.kind == "O" else array
