"""Targets and weights beside sequences: for each timestep, or for each sequence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.data.finite import is_finite
from bptt_keras.data.sequences import Sequences, holds_objects, is_number

Values: TypeAlias = np.ndarray | Sequences
"""Of one output: an array `(n, ...)`, or sequences with a value per timestep."""


class Targets:
    """Targets or weights of a list of sequences.

    Args:
        values: One per timestep: a `tf.RaggedTensor` or an iterable of arrays with the
            lengths of the sequences; or one per sequence: an array `(n, ...)` or a list
            of numbers; for several outputs, a dict of these.
        name: Name of the argument, for messages.
        sequences: The `Sequences` that they belong to.

    Raises:
        TypeError: If they are not numbers.
        ValueError: If their number or lengths differ from those of the sequences.
    """

    def __init__(self, values: Any, name: str, sequences: Sequences):
        self._name = name
        self._keyed = isinstance(values, dict)
        by_output = values if self._keyed else {name: values}
        self._by_output: dict[Any, Values] = {
            key: _read(one, f"{name}[{key!r}]" if self._keyed else name, sequences)
            for key, one in by_output.items()
        }

    def padded(self, rows: Sequence[int] | np.ndarray, steps: int) -> Any:
        """Values of some sequences, `(len(rows), steps, ...)` or `(len(rows), ...)`."""
        by_output = {
            key: one[rows] if isinstance(one, np.ndarray) else one.padded(rows, steps)
            for key, one in self._by_output.items()
        }
        return by_output if self._keyed else next(iter(by_output.values()))

    def with_weights(
        self, weights: Targets | None
    ) -> Iterator[tuple[str, Values, Values | None]]:
        """Yields the name, the targets and the weights, if any, of each output."""
        for key, one in self._by_output.items():
            name = f"{self._name}[{key!r}]" if self._keyed else self._name
            yield name, one, None if weights is None else weights.of(key)

    def of(self, key: Any) -> Values | None:
        """The values of an output, or the values for all outputs, or `None`."""
        if not self._keyed:
            return next(iter(self._by_output.values()))
        return self._by_output.get(key)


def require_finite(targets: Targets, weights: Targets | None = None) -> None:
    """Raises if weights, or targets of nonzero weight, hold NaN or infinity.

    Args:
        targets: The targets.
        weights: Their weights, or `None`.

    Raises:
        ValueError: If any do. The message names the argument and the sequence.
    """
    if weights is not None:
        require_finite(weights)
    for name, one, weight in targets.with_weights(weights):
        where = _not_finite(one, weight, name)
        if where is not None:
            raise ValueError(
                f"`{name}` must be finite. Received: NaN or infinity in {where}. Fill "
                f"the gaps, and give them `sample_weight` 0 if they must not count."
            )


def _not_finite(one: Values, weight: Values | None, name: str) -> str | None:
    """Says where NaN or infinity counts, or returns `None` if it does nowhere."""
    if isinstance(one, np.ndarray):
        return None if is_finite(one, _counts(weight)) else name
    for column in one.columns:
        for index, array in enumerate(column):
            if not is_finite(array, _counts(weight, index, len(array))):
                return f"number {index}"
    return None


def _counts(
    weight: Values | None, index: int | None = None, steps: int | None = None
) -> np.ndarray | None:
    """Booleans: where the weight of all sequences, or of number `index`, is not 0."""
    if weight is None:
        return None
    if isinstance(weight, np.ndarray):
        counts = weight != 0
        if index is None or steps is None:
            return counts
        return np.broadcast_to(counts[index].reshape(-1)[:steps], (steps,))
    if index is None:
        return np.array([(column != 0).any() for column in weight.columns[0]])
    return (weight.columns[0][index] != 0).reshape(steps, -1).any(axis=1)


def _read(values: Any, name: str, sequences: Sequences) -> Values:
    """`Sequences` if there is a value for each timestep, else an array."""
    if not isinstance(values, tf.RaggedTensor | str | np.ndarray | tf.Tensor):
        values = list(values) if hasattr(values, "__iter__") else values
    listed = isinstance(values, list) and not all(np.ndim(v) == 0 for v in values)
    if listed or holds_objects(values) or isinstance(values, tf.RaggedTensor):
        steps = Sequences(values, name, finite=False)
        steps.require_lengths_of(sequences)
        return steps
    return _for_each_sequence(np.asarray(values), name, len(sequences))


def _for_each_sequence(array: np.ndarray, name: str, count: int) -> np.ndarray:
    if not is_number(array.dtype):
        raise TypeError(
            f"`{name}` must hold numbers. Received: {name} of dtype {array.dtype}."
        )
    if array.ndim == 0 or len(array) != count:
        raise ValueError(
            f"`{name}` must be an array (n, ...) of one value for each sequence, or a "
            f"list of one array for each sequence. Received: {name} of shape "
            f"{array.shape} for {count} sequences."
        )
    if "float" in array.dtype.name:
        array = array.astype(keras.config.floatx(), copy=False)
    return array
