"""The gradient of a window, with the state before each segment kept.

The window runs forward once without a tape and keeps the states between segments. Then
the segments run again, the last one first, each with its own tape, and the gradient
that flows out of one flows into the one before it.
"""

from __future__ import annotations

import tensorflow as tf

from bptt_keras.training.programs.batch_like import BatchLike
from bptt_keras.training.programs.recomputation import kept_states, results
from bptt_keras.training.programs.recomputation.segmented_window import SegmentedWindow
from bptt_keras.training.programs.result import WindowResult
from bptt_keras.training.programs.window import Programs
from bptt_keras.types import State, Tensor


def segment_gradients(
    programs: Programs,
    window: BatchLike,
    state: State,
    buffers: list[Tensor],
    *,
    length: int,
) -> WindowResult:
    """Gradient of a window, as from `Programs.gradients`, with less memory.

    Args:
        programs: The trainer's `Programs` for training.
        window: `Batch` of one window whose length is known.
        state: Named state.
        buffers: Values of the model's buffers, all of them random seeds.
        length: Timesteps of a segment.
    """
    segments, like = SegmentedWindow(programs, window, buffers, length), state
    last = segments.count - 1
    _, state, kept, weights = kept_states.sweep(segments, state, last)
    at_end, weights, found = segments.differentiate_last(
        last, state, weights, segments.last_length
    )
    sums = results.sums_of_last(segments, at_end, found.of_variables)
    arrays = results.output_arrays(segments, at_end, last)

    def one(
        segment: Tensor,
        state_gradient: list[Tensor],
        kept: list[tf.TensorArray],
        sums: results.Sums,
        arrays: list[tf.TensorArray],
    ) -> tuple:
        state = kept_states.read(kept, segment, like)
        state_gradient, sums, arrays = results.differentiated(
            segments, segment, state, weights, state_gradient, sums, arrays
        )
        return segment - 1, state_gradient, kept, sums, arrays

    if last:
        *_, sums, arrays = tf.while_loop(
            lambda segment, *_: segment >= 0,
            one,
            (last - 1, found.of_state, kept, sums, arrays),
        )
    result = results.complete(segments, at_end, sums, weights)
    return results.with_outputs(segments, result, arrays, last=at_end)
