"""Targets and weights beside sequences: for each timestep, or for each sequence."""

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.data.sequences import Sequences, holds_objects


class Targets:
    """Targets or weights of a list of sequences.

    Args:
        values: For each timestep a `tf.RaggedTensor` or an iterable of arrays, of the
            sequences' lengths; for each sequence an array `(n, ...)` or a list of
            numbers; for several outputs a dict of these.
        name: Name of the argument, for messages.
        sequences: The `Sequences` that they belong to.

    Raises:
        TypeError: If they are no numbers.
        ValueError: If their number or lengths differ from those of the sequences, or
            they hold NaN or infinity.
    """

    def __init__(self, values, name, sequences):
        self._keyed = isinstance(values, dict)
        parts = values if self._keyed else {name: values}
        self._parts = {
            key: _read(part, f"{name}[{key!r}]" if self._keyed else name, sequences)
            for key, part in parts.items()
        }

    def padded(self, rows, steps):
        """Those of the sequences `rows`: `(len(rows), steps, ...)` or `(rows, ...)`."""
        parts = {
            key: part[rows]
            if isinstance(part, np.ndarray)
            else part.padded(rows, steps)
            for key, part in self._parts.items()
        }
        return parts if self._keyed else next(iter(parts.values()))


def _read(values, name, sequences):
    """`Sequences` of what comes for each timestep, else an array."""
    if not isinstance(values, tf.RaggedTensor | str | np.ndarray | tf.Tensor):
        values = list(values) if hasattr(values, "__iter__") else values
    listed = isinstance(values, list) and not all(np.isscalar(v) for v in values)
    if listed or holds_objects(values) or isinstance(values, tf.RaggedTensor):
        steps = Sequences(values, name)
        steps.require_lengths_of(sequences)
        return steps
    return _for_each_sequence(np.asarray(values), name, len(sequences))


def _for_each_sequence(array, name, count):
    if array.dtype.kind not in "iuf":
        raise TypeError(
            f"`{name}` must hold numbers. Received: {name} of dtype {array.dtype}."
        )
    if array.ndim == 0 or len(array) != count:
        raise ValueError(
            f"`{name}` must be an array (n, ...) of one value for each sequence, or a "
            f"list of one array for each sequence. Received: {name} of shape "
            f"{array.shape} for {count} sequences."
        )
    if array.dtype.kind == "f":
        if not np.isfinite(array).all():
            raise ValueError(
                f"`{name}` must be finite. Received: NaN or infinity in {name}."
            )
        array = array.astype(keras.config.floatx(), copy=False)
    return array
