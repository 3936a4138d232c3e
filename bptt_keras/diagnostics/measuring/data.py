"""Data for a diagnosis, as plain arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.state import timed_inputs
from bptt_keras.training.batches.parts import split_inputs
from bptt_keras.types import Structure, Tensor


def load(model: keras.Model, data: Any, steps: int) -> tuple[Structure, Structure]:
    """Loads the inputs and targets of one batch.

    Args:
        model: The inner `keras.Model`.
        data: `(x, y)` of arrays, or a `tf.data.Dataset` of such batches.
        steps: Timesteps wanted: batches of a stream are joined along time until there
            are this many, or the stream ends.

    Returns:
        `(x, y)`: structures of tensors.

    Raises:
        TypeError: If `data` is neither.
        ValueError: If there are no batches, rows or targets, or the data have padding,
            resets or weights.
    """
    if isinstance(data, tf.data.Dataset):
        return _from_dataset(model, data, steps)
    if not isinstance(data, tuple | list) or len(data) != 2:
        raise TypeError(
            f"`data` must be `(x, y)` or a tf.data.Dataset of such batches. Received: "
            f"{type(data).__name__}."
        )
    x, y = data
    return tensors(plain(x)), tensors(y)


def timed_shape(model: keras.Model, x: Structure) -> tuple[int, int]:
    """`(rows, timesteps)` of inputs.

    Raises:
        ValueError: If there are no rows or no timesteps.
    """
    shape = _timed(model, x)[0].shape[:2]
    if 0 in shape:
        raise ValueError(
            f"Inputs must be `(rows, time, ...)` with at least one row. Received: "
            f"shape {tuple(_timed(model, x)[0].shape)}."
        )
    return tuple(shape)


def map_timed(
    model: keras.Model, function: Callable[[Tensor], Tensor], x: Structure
) -> Structure:
    """Applies a function to the inputs that have a time axis."""
    return tf.nest.map_structure(
        lambda a, timed: function(a) if timed else a, x, timed_inputs(model, x)
    )


def plain(x: Structure) -> Structure:
    """The inputs of the model, without flags.

    Args:
        x: As for `fit`.

    Raises:
        ValueError: If timesteps are padded, or rows are reset between two timesteps.
    """
    parts = split_inputs(x)
    if parts.lengths is not None or parts.mask is not None:
        raise ValueError(
            "Diagnoses take timesteps that are all valid. Received: data with `mask` "
            "or `lengths`. Cut the sequences to a common length."
        )
    # `(rows,)`, and the first column of `(rows, time)`, come before the first timestep.
    if np.ndim(parts.reset) > 1 and np.any(np.asarray(parts.reset)[:, 1:]):
        raise ValueError(
            "Diagnoses take sequences that are not interrupted. Received: data with "
            "`reset` between their timesteps. Choose a piece without."
        )
    return parts.inputs


def tensors(tree: Structure) -> Structure:
    """Converts a structure of arrays to tensors, Python floats to 32 bits."""

    def tensor(value):
        value = np.asarray(value)
        return tf.constant(value.astype(np.float32) if value.dtype == float else value)

    return tf.nest.map_structure(tensor, tree)


def _timed(model: keras.Model, x: Structure) -> list[Tensor]:
    """The inputs that have a time axis, as a flat list."""
    timed = tf.nest.flatten(timed_inputs(model, x))
    return [a for a, has in zip(tf.nest.flatten(x), timed, strict=True) if has]


def _from_dataset(
    model: keras.Model, dataset: tf.data.Dataset, steps: int
) -> tuple[Structure, Structure]:
    parts: list[tuple[Structure, Structure]] = []
    length = 0
    for batch in dataset:
        x, y, weights = keras.utils.unpack_x_y_sample_weight(batch)
        if y is None:
            raise ValueError("`data` must yield `(x, y)`. Received: batches without y.")
        if weights is not None:
            raise ValueError(
                "Diagnoses weigh all timesteps alike. Received: data with sample "
                "weights. Leave them out."
            )
        if parts and np.any(split_inputs(x).reset):
            break  # Another sequence begins.
        parts.append((plain(x), y))
        length += _timed(model, parts[-1][0])[0].shape[1]
        # Other data start from the initial state in each batch.
        if length >= steps or not (isinstance(x, dict) and "position" in x):
            break
    if not parts:
        raise ValueError("`data` has no batch.")
    timed = timed_inputs(model, parts[0][0])

    def joined(has_time, *pieces):
        return tf.concat(pieces, axis=1) if has_time else pieces[0]

    x = tf.nest.map_structure(joined, timed, *(x for x, _ in parts))
    y = tf.nest.map_structure(
        lambda *pieces: tf.concat(pieces, axis=1), *(y for _, y in parts)
    )
    return x, y
