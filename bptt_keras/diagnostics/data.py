"""Data that a diagnosis looks at, as plain arrays."""

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.training.parts import split_inputs


def load(data, steps):
    """Inputs and targets of one batch.

    Args:
        data: `(x, y)` of arrays, or a `tf.data.Dataset` of such batches.
        steps: Timesteps that are wanted: batches of a stream are joined along time
            until there are so many, or the stream ends.

    Returns:
        `(x, y)`: structures of tensors.

    Raises:
        TypeError: If `data` is neither.
        ValueError: If there is no batch, there are no targets, or timesteps are
            padded.
    """
    if isinstance(data, tf.data.Dataset):
        return _from_dataset(data, steps)
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise TypeError(
            f"`data` must be `(x, y)` or a tf.data.Dataset of such batches. Received: "
            f"{type(data).__name__}."
        )
    x, y = data
    return tensors(plain(x)), tensors(y)


def time_axis_of(x):
    """Number of timesteps of inputs `(rows, time, ...)`."""
    first = tf.nest.flatten(x)[0]
    if first.shape.rank < 2 or 0 in first.shape[:2]:
        raise ValueError(
            f"Inputs must be `(rows, time, ...)` with at least one row. Received: "
            f"shape {tuple(first.shape)}."
        )
    return first.shape[1]


def _from_dataset(dataset, steps):
    parts, length = [], 0
    for batch in dataset:
        x, y, _ = keras.utils.unpack_x_y_sample_weight(batch)
        if y is None:
            raise ValueError("`data` must yield `(x, y)`. Received: batches without y.")
        parts.append((plain(x), y))
        length += tf.nest.flatten(parts[-1][0])[0].shape[1]
        # Others start afresh with each batch.
        if length >= steps or not (isinstance(x, dict) and "position" in x):
            break
    if not parts:
        raise ValueError("`data` has no batch.")
    return tf.nest.map_structure(lambda *pieces: tf.concat(pieces, axis=1), *parts)


def plain(x):
    """What the model takes, without flags.

    Raises:
        ValueError: If timesteps are padded.
    """
    parts = split_inputs(x)
    if parts.lengths is not None or parts.mask is not None:
        raise ValueError(
            "Diagnoses take timesteps that are all valid. Received: data with `mask` "
            "or `lengths`. Cut the sequences to a common length."
        )
    return parts.inputs


def tensors(tree):
    """A structure of arrays as tensors, Python's floats in 32 bits."""

    def tensor(value):
        value = np.asarray(value)
        return tf.constant(value.astype(np.float32) if value.dtype == float else value)

    return tf.nest.map_structure(tensor, tree)
