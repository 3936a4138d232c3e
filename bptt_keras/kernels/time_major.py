"""The loop over time, with time as the first axis, and masks and resets of rows.

`fused.feature_major` has the same functions, with the same names, for another order of
the axes.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from bptt_keras.types import Structure, Tensor


def scan(
    step: Callable[[Structure, tuple], tuple[Structure, tuple]],
    sequences: Sequence[Any],
    carry: Structure,
    *,
    widths: Sequence[int],
    reverse: bool = False,
) -> tuple[Structure, tuple[Tensor, ...]]:
    """Apply `step` along time and stack what it returns.

        carry, (a_t, b_t, ...) = step(carry, (x_t, y_t, ...))

    The loop itself is not meant to be differentiated: kernels call it inside
    `tf.custom_gradient`. A single step, known as such when traced, takes no loop.

    Args:
        step: the function above; each output has shape `(batch, width)`.
        sequences: tuple of `(time, batch, ...)` tensors; an entry may be None and
            then reaches `step` as None.
        carry: tensor, or tuple of tensors, that one step passes to the next.
        widths: tuple of integers, the width of each output.
        reverse: run from the last step to the first.

    Returns:
        `(carry, outputs)`: the last carry, and a tuple of `(time, batch, width)`
        tensors in the order of time, in whichever direction the loop ran.
    """
    length = sequences[0].shape[0] or tf.shape(sequences[0])[0]
    if isinstance(length, int) and length == 1:
        slices = tuple(None if s is None else s[0] for s in sequences)
        carry, outputs = step(carry, slices)
        return carry, tuple(output[None] for output in outputs)
    first = tf.nest.flatten(carry)[0]
    dtype, batch = first.dtype, first.shape[0]
    arrays = tuple(
        tf.TensorArray(dtype, size=length, element_shape=(batch, width))
        for width in widths
    )

    def body(count, carry, arrays):
        t = length - 1 - count if reverse else count
        slices = tuple(None if s is None else s[t] for s in sequences)
        carry, outputs = step(carry, slices)
        arrays = tuple(a.write(t, o) for a, o in zip(arrays, outputs, strict=True))
        return count + 1, carry, arrays

    _, carry, arrays = tf.while_loop(
        lambda count, *_: count < length, body, (0, carry, arrays)
    )
    return carry, tuple(a.stack() for a in arrays)


def clear(reset: Tensor | None, tensor: Tensor) -> Tensor:
    """Set the rows of `tensor` that `reset` flags to zeros; None flags no row.

    `where` instead of a product, so that rows with NaN are clean afterwards.

    Args:
        reset: `(..., batch)` booleans, or None.
        tensor: `(..., batch, units)`.
    """
    if reset is None:
        return tensor
    return tf.where(reset[..., None], tf.zeros_like(tensor), tensor)


def hold(mask: Tensor | None, new: Tensor, old: Tensor) -> Tensor:
    """Take `new` where `mask` is True and `old` elsewhere; None takes all of `new`.

    Args:
        mask: `(batch,)` booleans, or None.
        new: `(batch, units)`.
        old: `(batch, units)`.
    """
    return new if mask is None else tf.where(mask[..., None], new, old)


def previous(sequence: Tensor, first: Tensor, reset: Tensor | None) -> Tensor:
    """The state before each step: `sequence` delayed by one step, after resets.

    Args:
        sequence: `(time, batch, units)`.
        first: `(batch, units)`, the state before the first step.
        reset: `(time, batch)` booleans, or None.
    """
    late = tf.concat([first[None], sequence[:-1]], axis=0)
    return clear(reset, late)


def weight_gradient(inputs: Tensor, d_outputs: Tensor) -> Tensor:
    """The sum over steps and rows of `inputs^T d_outputs`, in one product.

    Summed inside the loop, it would cost about as much as the rest of the backward
    pass.

    Args:
        inputs: `(time, batch, m)`.
        d_outputs: `(time, batch, n)`.

    Returns:
        `(m, n)`.
    """
    a, b = (tf.reshape(x, (-1, x.shape[-1])) for x in (inputs, d_outputs))
    return tf.matmul(a, b, transpose_a=True)
