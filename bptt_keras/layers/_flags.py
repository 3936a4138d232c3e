"""Checks of the `mask` and `reset` that layers accept."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from bptt_keras.types import Structure, Tensor


def checked_mask(mask: Structure) -> Tensor | None:
    """`mask` as `(batch, time)` booleans, or None."""
    mask = keras.tree.flatten(mask)[0] if mask is not None else None
    if mask is None:
        return None
    mask = tf.cast(mask, tf.bool)
    if mask.shape.rank == 3 and mask.shape[-1] == 1:
        mask = mask[..., 0]
    if mask.shape.rank != 2:
        raise ValueError(
            "`mask` must have shape (batch, time). "
            f"Received: a mask of shape {tuple(mask.shape)}."
        )
    return mask


def checked_reset(reset: Any, sequences_shape: tf.TensorShape) -> Tensor | None:
    """`reset` as `(batch, time)` booleans that fit the sequences, or None."""
    if reset is None:
        return None
    reset = tf.convert_to_tensor(reset)
    if reset.dtype != tf.bool:
        raise TypeError(
            "`reset` must be boolean, True where a row starts afresh. "
            f"Received: reset of dtype {reset.dtype.name}. "
            "Compare or cast first, as in `reset=flags != 0`."
        )
    expected = tuple(sequences_shape[:2])
    if reset.shape.rank != 2 or not reset.shape.is_compatible_with(expected):
        raise ValueError(
            "`reset` must have one flag for each row and step, shape (batch, time) = "
            f"{expected}. Received: reset of shape {tuple(reset.shape)}. To reset rows "
            "before the first step only, set the other columns to False."
        )
    return reset
