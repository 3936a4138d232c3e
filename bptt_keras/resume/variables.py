"""All variables in which a training keeps its state."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.files import named_by_numpy
from bptt_keras.types import Tensor


def variables_of(holders: Sequence[Any]) -> list[Any]:
    """The variables in objects, each once, in an order that does not change.

    Args:
        holders: Models, optimizers and metrics of Keras, variables, and objects of
            this package, which are searched with all that they hold.

    Returns:
        List of `tf.Variable`.
    """
    found: dict[int, Any] = {}
    seen: set[int] = set()
    for holder in holders:
        for variable in _within(holder, seen):
            found.setdefault(id(variable), variable)
    return list(found.values())


def _within(value: Any, seen: set[int]) -> Iterator[Any]:
    if isinstance(value, tf.Variable):
        yield value
    elif isinstance(value, keras.Variable):
        yield value.value
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _within(item, seen)
    elif isinstance(value, dict):
        yield from _within(list(value.values()), seen)
    elif id(value) in seen:
        return
    elif isinstance(value, keras.random.SeedGenerator):
        yield value.state.value
    elif isinstance(value, keras.Layer | keras.optimizers.Optimizer):
        seen.add(id(value))
        yield from (v.value for v in value.variables)
    elif isinstance(value, keras.metrics.Metric):
        seen.add(id(value))
        yield from (v.value for v in value.variables)
        yield from _within(_attributes(value), seen)
    elif type(value).__module__.startswith("bptt_keras."):
        seen.add(id(value))
        yield from _within(_attributes(value), seen)


def _attributes(value: Any) -> list[Any]:
    return list(getattr(value, "__dict__", {}).values())


def describe(variables: Sequence[Any]) -> list[list[Any]]:
    """`[shape, dtype]` of each variable, for JSON; a size may be `None`."""
    return [[v.shape.as_list(), v.dtype.name] for v in variables]


def values_of(variables: Sequence[Any]) -> list[Tensor]:
    """The values, as tensors that later updates of the variables do not change."""
    return [v.read_value() for v in variables]


def assign(variables: Sequence[Any], arrays: Sequence[np.ndarray]) -> None:
    """Restores variables of the same description.

    Raises:
        ValueError: If an array has another shape or dtype than its variable.
    """
    for variable, array in zip(variables, arrays, strict=True):
        value = as_stored(array, variable.dtype)
        fits = variable.shape.is_compatible_with(value.shape)
        if not fits or value.dtype != variable.dtype.as_numpy_dtype:
            raise ValueError(
                f"a variable of shape {variable.shape} and {variable.dtype.name} would "
                f"become an array of {value.shape} and {value.dtype}"
            )
        variable.assign(value)


class Copies:
    """Copies of the values of variables, in memory that is used again each time.

    An update of a variable first copies a value that is held elsewhere, into new
    memory. So values are let go as soon as they have been copied; and memory that has
    been used before is copied into much faster than new one.
    """

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []

    def of(self, tensors: list[Tensor]) -> list[np.ndarray]:
        """The values as arrays of dtypes that NumPy itself knows.

        Args:
            tensors: The values; the list is empty afterwards.

        Returns:
            List of arrays, which the next call overwrites.
        """
        arrays: list[np.ndarray] = []
        before = iter(self._arrays)
        tensors.reverse()
        while tensors:
            value = named_by_numpy(np.asarray(tensors.pop()))
            known = next(before, None)
            if known is None or (known.shape, known.dtype) != (
                value.shape,
                value.dtype,
            ):
                known = np.empty_like(value)
            np.copyto(known, value)
            arrays.append(known)
        self._arrays = arrays
        return arrays


def as_stored(array: np.ndarray, dtype: tf.DType) -> np.ndarray:
    """One of `Copies`, as an array of the tensor's dtype."""
    wanted = np.dtype(dtype.as_numpy_dtype)
    bits = wanted.kind == "V" and array.dtype.itemsize == wanted.itemsize
    return array.view(wanted) if bits else array
