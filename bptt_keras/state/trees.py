"""Operations on a named state, leaf by leaf."""

from __future__ import annotations

import tensorflow as tf

from bptt_keras.types import Structure, Tensor


def floats(state: Structure) -> list[Tensor]:
    """The floating-point tensors of a state, flat."""
    return [leaf for leaf in tf.nest.flatten(state) if leaf.dtype.is_floating]


def row_norms(tensors: list[Tensor]) -> Tensor:
    """The L2 norm of each row, over all tensors together.

    Args:
        tensors: List of tensors `(batch, ...)`.

    Returns:
        `(batch,)` in float32; a single 0 if there are no tensors.
    """
    squares = [
        tf.reduce_sum(tf.square(tf.cast(t, tf.float32)), list(range(1, t.shape.rank)))
        for t in tensors
    ]
    return tf.sqrt(tf.add_n(squares)) if squares else tf.zeros([1])


def shaped_like(tree: Structure, like: Structure) -> Structure:
    """The tensors of `tree`, with the static shapes of `like`."""
    for tensor, model in zip(tf.nest.flatten(tree), tf.nest.flatten(like), strict=True):
        tensor.set_shape(model.shape)
    return tree
