"""The gradient of a window, with only some of the states between segments kept.

A plan of integers (`truncation.Revolve`) says which. The window runs forward without a
tape up to its last segment. Then each segment runs again, the last one first, with its
own tape, from a state that was kept or is recomputed from an earlier one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from bptt_keras.training.programs.batch_like import BatchLike, Size
from bptt_keras.training.programs.recomputation import kept_states, results
from bptt_keras.training.programs.recomputation.segmented_window import SegmentedWindow
from bptt_keras.training.programs.result import WindowResult
from bptt_keras.training.programs.window import Programs
from bptt_keras.truncation.recomputation import Action
from bptt_keras.types import State, Tensor


def revolve_gradients(
    programs: Programs,
    window: BatchLike,
    state: State,
    buffers: list[Tensor],
    *,
    length: int,
    slots: int,
    plan: Sequence[Action],
) -> WindowResult:
    """Gradient of a window, as from `Programs.gradients`, with the least memory.

    Args:
        programs: The trainer's `Programs` for training.
        window: `Batch` of one window whose length is known.
        state: Named state.
        buffers: Values of the model's buffers, all of them random seeds.
        length: Timesteps of a segment.
        slots: Number of states that are kept at a time.
        plan: The actions, in order.
    """
    segments, like = SegmentedWindow(programs, window, buffers, length), state
    last = segments.count - 1
    first = next(i for i, row in enumerate(plan) if row.backward)
    state, kept, weights = _forward(segments, state, slots, plan[: first + 1])
    at_end, weights, found = segments.differentiate_last(
        last, state, weights, segments.last_length
    )
    sums = results.sums_of_last(segments, at_end, found.of_variables)
    arrays = results.output_arrays(segments, at_end, last)
    rows = tf.constant(plan[first + 1 :], tf.int32)

    def one(index: Tensor, kept: list[tf.TensorArray], *carried: Any) -> tuple:
        restore, begin, end, store, backward = tf.unstack(rows[index], 5)
        state = kept_states.read(kept, restore, like)
        state, _ = _advance(segments, begin, end, state, weights)
        # A state that is not kept is written to a place that is never read.
        place = tf.where(store < 0, slots, store)
        kept = kept_states.written(kept, place, state)

        def differentiated() -> tuple:
            return results.differentiated(segments, end, state, weights, *carried)

        return index + 1, kept, *tf.cond(backward > 0, differentiated, lambda: carried)

    *_, sums, arrays = tf.while_loop(
        lambda index, *_: index < len(plan) - first - 1,
        one,
        (0, kept, found.of_state, sums, arrays),
    )
    result = results.complete(segments, at_end, sums, weights)
    return results.with_outputs(segments, result, arrays, last=at_end)


def _forward(
    window: SegmentedWindow, state: State, slots: int, plan: Sequence[Action]
) -> tuple[State, list[tf.TensorArray], list[Tensor]]:
    """Runs forward up to the last segment and keeps states on the way.

    Args:
        window: The window.
        state: Named state at its start.
        slots: Number of states that are kept at a time.
        plan: The actions up to the first one that runs backward. Each begins where the
            previous one ends.

    Returns:
        `(state, kept, weights)`: the state before the last segment, the states kept on
        the way, and the summed weights of the segments that ran.
    """
    # One more, for actions that keep nothing.
    kept = kept_states.empty(slots + 1, state)
    rows = tf.constant([row[1:4] for row in plan[:-1]], tf.int32)

    def one(
        index: Tensor, state: State, weights: list[Tensor], kept: list[tf.TensorArray]
    ) -> tuple:
        begin, end, store = tf.unstack(rows[index], 3)
        state, weights = _advance(window, begin, end, state, weights)
        return index + 1, state, weights, kept_states.written(kept, store, state)

    _, state, weights, kept = tf.while_loop(
        lambda index, *_: index < len(plan) - 1,
        one,
        (0, state, window.no_weights(), kept),
    )
    state, weights = _advance(window, plan[-1].begin, plan[-1].end, state, weights)
    return state, kept, weights


def _advance(
    window: SegmentedWindow,
    begin: Size,
    end: Size,
    state: State,
    weights: list[Tensor],
) -> tuple[State, list[Tensor]]:
    """State and summed weights after the segments from `begin` up to `end`."""

    def one(segment: Tensor, state: State, weights: list[Tensor]) -> tuple:
        return segment + 1, *window.advance(segment, state, weights)

    _, state, weights = tf.while_loop(
        lambda segment, *_: segment < end, one, (begin, state, weights)
    )
    return state, weights
