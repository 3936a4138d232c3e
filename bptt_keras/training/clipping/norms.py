"""Norms of gradients, weights and updates."""

from __future__ import annotations

import math
from collections.abc import Sequence

import tensorflow as tf

from bptt_keras.tensorflow_internals import compiled_by_xla
from bptt_keras.types import Tensor

# A sum is made in this many pieces, unless it has so few elements that it makes no
# difference.
_PIECES, _FEW = 16, 4096


def global_norm(
    tensors: Sequence[Tensor], *, minus: Sequence[Tensor] | None = None
) -> Tensor:
    """The L2 norm of several tensors taken as one vector, a float32 scalar.

    Args:
        tensors: List of float tensors.
        minus: Tensors to subtract from them first. Default (`None`): none.
    """
    others = [None] * len(tensors) if minus is None else minus
    sums = [_sum_of_squares(*pair) for pair in zip(tensors, others, strict=True)]
    return tf.sqrt(tf.add_n(sums)) if sums else tf.constant(0.0)


def _sum_of_squares(tensor: Tensor, other: Tensor | None) -> Tensor:
    """The sum of the squares of all elements of a tensor, or of a difference.

    On a CPU, XLA stores the squares and then adds them one by one. Pieces that are
    added to one another need one pass with vector instructions, which leaves little to
    add. They are cut first: XLA would store what several pieces are cut from.
    """
    both = [tf.cast(t, tf.float32) for t in (tensor, other) if t is not None]
    size = math.prod(tensor.shape) if tensor.shape.is_fully_defined() else 0
    if size < _FEW or not compiled_by_xla():
        return 2 * tf.nn.l2_loss(_difference(both))
    flat = [tf.reshape(t, [size]) for t in both]
    length = size // _PIECES
    starts = range(0, _PIECES * length, length)
    pieces = [
        tf.square(_difference([t[start : start + length] for t in flat]))
        for start in starts
    ]
    rest = _difference([t[_PIECES * length :] for t in flat])
    return tf.reduce_sum(tf.add_n(pieces)) + tf.reduce_sum(tf.square(rest))


def _difference(tensors: list[Tensor]) -> Tensor:
    return tensors[0] if len(tensors) == 1 else tensors[0] - tensors[1]
