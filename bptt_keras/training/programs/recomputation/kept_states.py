"""States between segments, in arrays that XLA can pass through loops."""

from __future__ import annotations

import tensorflow as tf

from bptt_keras.state import shaped_like
from bptt_keras.training.programs.batch_like import Size
from bptt_keras.training.programs.recomputation.segmented_window import SegmentedWindow
from bptt_keras.types import State, Tensor


def sweep(
    window: SegmentedWindow, state: State, last: Size
) -> tuple[Size, State, list[tf.TensorArray], list[Tensor]]:
    """Runs forward without a tape and keeps the state before each segment.

    Args:
        window: The window.
        state: Named state at its start.
        last: Number of the segment to stop before.

    Returns:
        `(last, state, kept, weights)`: the same number, the state before that segment,
        the states before the segments that ran, and their summed weights.
    """
    kept = empty(max(window.count - 1, 1), state)
    weights = window.no_weights()
    if window.count == 1:
        return last, state, kept, weights

    def one(
        segment: Tensor, state: State, weights: list[Tensor], kept: list[tf.TensorArray]
    ) -> tuple:
        kept = written(kept, segment, state)
        state, weights = window.advance(segment, state, weights)
        return segment + 1, state, weights, kept

    ran, state, weights, kept = tf.while_loop(
        lambda segment, *_: segment < last, one, (0, state, weights, kept)
    )
    # `ran` equals `last`, but hides from XLA that it is an argument of the program,
    # for which XLA would compile a program per value.
    return last if isinstance(last, int) else ran, state, kept, weights


def empty(size: int, state: State) -> list[tf.TensorArray]:
    """Arrays for `size` states like this one."""
    return [array_like(size, leaf) for leaf in tf.nest.flatten(state)]


def written(
    kept: list[tf.TensorArray], place: Size, state: State
) -> list[tf.TensorArray]:
    """The arrays with a state written at a place."""
    leaves = tf.nest.flatten(state)
    return [a.write(place, leaf) for a, leaf in zip(kept, leaves, strict=True)]


def read(kept: list[tf.TensorArray], place: Size, like: State) -> State:
    """The state at a place, with the structure and static shapes of another one."""
    leaves = [array.read(place) for array in kept]
    return shaped_like(tf.nest.pack_sequence_as(like, leaves), like)


def array_like(size: int, like: Tensor, *, steps: int | None = None) -> tf.TensorArray:
    """A `TensorArray` of zeros like a tensor, which XLA can pass through loops.

    Args:
        size: Number of entries.
        like: Tensor with the shape of an entry.
        steps: Size of axis 1 if different. Default (`None`): that of the tensor.
    """
    shape, known = tf.shape(like), like.shape
    if steps is not None:
        shape = tf.concat([shape[:1], [steps], shape[2:]], 0)
        known = tf.TensorShape([known[0], steps, *known[2:]])
    zeros = tf.zeros(tf.concat([[size], shape], 0), like.dtype)
    array = tf.TensorArray(
        like.dtype, size, element_shape=known, clear_after_read=False
    )
    return array.unstack(tf.ensure_shape(zeros, [size, *known]))
