"""All variables in which a training keeps its state."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.files import named_by_numpy
from bptt_keras.process_group import ProcessGroup
from bptt_keras.resume.pacing import Rest, pieces
from bptt_keras.training.measures.live import ExchangeShare
from bptt_keras.training.steps import Apart
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
    elif isinstance(value, ExchangeShare | ProcessGroup):
        return  # Only of the processes of this run.
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


def values_of_all(
    variables: Sequence[Any], apart: Apart, group: ProcessGroup
) -> list[Tensor]:
    """The values that one process would have; all processes ask at once.

    Args:
        variables: Those of `variables_of`.
        apart: Those of which each process has a part.
        group: The processes.
    """
    summed = {id(v) for v in (*apart.sums, *apart.counts)}
    values = []
    for variable in variables:
        value = variable.read_value()
        if _of_rows(variable):
            value = group.rows_of_all(value)
        elif id(variable) in summed:
            (value,) = group.totals([value])
        values.append(value)
    return values


def parts_of(
    variables: Sequence[Any],
    arrays: Sequence[np.ndarray],
    apart: Apart,
    group: ProcessGroup,
) -> list[np.ndarray]:
    """What this process has of the arrays that `values_of_all` gave."""
    counts, sums = ({id(v) for v in found} for found in apart)
    parts = []
    for variable, array in zip(variables, arrays, strict=True):
        if _of_rows(variable):
            array = group.own_rows(array)
        elif id(variable) in counts:
            first, last = group.held_part_of(int(array))
            array = np.array(last - first, array.dtype)
        elif id(variable) in sums and not group.is_first:
            array = np.zeros_like(array)
        parts.append(array)
    return parts


def _of_rows(variable: Any) -> bool:
    shape = variable.shape
    return shape.rank > 0 and shape[0] is None


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

    Memory that has been used before is copied into many times faster than new one. A
    value that is held and not copied would cost more: the next update of its variable
    would have to copy it, into new memory.
    """

    def __init__(self) -> None:
        self._arrays: list[np.ndarray] = []

    def reserve(self, variables: Sequence[Any], rest: Rest) -> None:
        """Takes the memory beforehand, a little at a time.

        Args:
            variables: The variables. Those whose shape is not known get theirs later.
            rest: See `pieces`.
        """
        arrays = []
        for variable in variables:
            shape = [size or 0 for size in variable.shape.as_list()]
            array = named_by_numpy(np.empty(shape, variable.dtype.as_numpy_dtype))
            content = array.reshape(-1).view(np.uint8)
            for piece in pieces(content.size, rest):
                content[piece] = 0
            arrays.append(array)
        self._arrays = arrays

    def of(self, tensors: Sequence[Tensor]) -> list[np.ndarray]:
        """The values as arrays of dtypes that NumPy itself knows.

        Args:
            tensors: The values.

        Returns:
            List of arrays, which the next call overwrites.
        """
        values = [named_by_numpy(np.asarray(tensor)) for tensor in tensors]
        self._arrays = [
            known if _alike(known, value) else np.empty_like(value)
            for known, value in itertools.zip_longest(self._arrays, values)
            if value is not None
        ]
        # Two threads copy faster than one, and more hardly faster than two.
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(np.copyto, self._arrays, values))
        return self._arrays


def _alike(known: np.ndarray | None, value: np.ndarray) -> bool:
    return known is not None and (known.shape, known.dtype) == (
        value.shape,
        value.dtype,
    )


def as_stored(array: np.ndarray, dtype: tf.DType) -> np.ndarray:
    """One of `Copies`, as an array of the tensor's dtype."""
    wanted = np.dtype(dtype.as_numpy_dtype)
    bits = wanted.kind == "V" and array.dtype.itemsize == wanted.itemsize
    return array.view(wanted) if bits else array
