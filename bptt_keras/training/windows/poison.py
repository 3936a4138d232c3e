"""What a window with NaN or infinity may still pass on."""

from __future__ import annotations

import tensorflow as tf

from bptt_keras.state import floats, where_rows
from bptt_keras.types import State, Structure, Tensor


def all_finite(tensors: Structure) -> Tensor:
    """Whether all numbers of these tensors are finite, a scalar boolean.

    Args:
        tensors: Nested structure of tensors; `None` and tensors that are not floats
            count as finite.
    """
    finite = [
        tf.reduce_all(tf.math.is_finite(x))
        for x in tf.nest.flatten(tensors)
        if x is not None and x.dtype.is_floating
    ]
    return tf.reduce_all(finite) if finite else tf.constant(True)


def is_sound(state: State, buffers: list[Tensor]) -> Tensor:
    """Whether a window may pass on all of this as it is, a scalar boolean.

    Args:
        state: Named state after the window.
        buffers: List of the buffers' new values.
    """
    return tf.reduce_all(_sound_rows(state)) & all_finite(buffers)


def clean(
    state: State, initial: State, buffers: list[Tensor], old_buffers: list[Tensor]
) -> tuple[State, list[Tensor]]:
    """What a window passes on, with everything that is not finite replaced.

    Args:
        state: Named state after the window: tensors `(batch, ...)`.
        initial: The same structure: the state of rows that are not sound: they contain
            NaN, infinity, or numbers so large that their squares are infinite.
        buffers: List of the buffers' new values.
        old_buffers: List of their previous values, which are kept where a new one is
            not finite.

    Returns:
        `(state, buffers)`.
    """
    buffers = [
        tf.where(all_finite(new), new, old)
        for new, old in zip(buffers, old_buffers, strict=True)
    ]
    if floats(state):
        state = where_rows(~_sound_rows(state), initial, state)
    return state, buffers


def _sound_rows(state: State) -> Tensor:
    """Which rows may go on: booleans `(batch,)`, or a scalar without a state."""
    sound = tf.constant(True)
    for value in floats(state):
        if value.dtype.size < 4:
            value = tf.cast(value, tf.float32)
        # Of a huge number no gradient is finite.
        sound &= tf.reduce_all(
            tf.math.is_finite(tf.square(value)), axis=range(1, value.shape.rank)
        )
    return sound
