"""Gradients that flow back timestep by timestep and are scaled or measured on the way.

The state before each timestep is kept. The number of timesteps of a window is known
when the step runs: the rest of the window is padding, which does not run.
"""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from bptt_keras.state import row_norms
from bptt_keras.training.programs.batch_like import BatchLike
from bptt_keras.training.programs.recomputation import kept_states, results
from bptt_keras.training.programs.recomputation.segmented_window import SegmentedWindow
from bptt_keras.training.programs.result import WindowResult
from bptt_keras.training.programs.window import Programs
from bptt_keras.types import State, Tensor


def scaled_gradients(
    programs: Programs,
    window: BatchLike,
    state: State,
    buffers: list[Tensor],
    count: Tensor,
    *,
    factors: Sequence[float],
) -> WindowResult:
    """Gradient of a window, multiplied by a factor between any two timesteps.

    Args:
        programs: The trainer's `Programs` for training.
        window: `Batch` of one window whose length, with padding, is known.
        state: Named state.
        buffers: Values of the model's buffers, all of them random seeds.
        count: Timesteps before the padding, a scalar integer tensor.
        factors: A number for each timestep of the window, by which the gradient that
            flows from it to the previous timestep is multiplied.
    """
    segments, like = SegmentedWindow(programs, window, buffers, 1), state
    factor = tf.constant(factors, tf.float32)
    last, state, kept, weights = kept_states.sweep(segments, state, count - 1)
    at_end, weights, found = segments.differentiate_last(last, state, weights, 1)
    sums = results.sums_of_last(segments, at_end, found.of_variables)
    arrays = results.output_arrays(segments, at_end, segments.count)
    arrays = results.write_outputs(arrays, last, at_end)

    def scaled(step: Tensor, gradient: list[Tensor]) -> list[Tensor]:
        return [g * tf.cast(factor[step], g.dtype) for g in gradient]

    def one(
        step: Tensor,
        state_gradient: list[Tensor],
        kept: list[tf.TensorArray],
        sums: results.Sums,
        arrays: list[tf.TensorArray],
    ) -> tuple:
        state = kept_states.read(kept, step, like)
        state_gradient, sums, arrays = results.differentiated(
            segments, step, state, weights, state_gradient, sums, arrays
        )
        return step - 1, scaled(step, state_gradient), kept, sums, arrays

    *_, sums, arrays = tf.while_loop(
        lambda step, *_: step >= 0,
        one,
        (last - 1, scaled(last, found.of_state), kept, sums, arrays),
    )
    result = results.complete(segments, at_end, sums, weights)
    return results.with_outputs(segments, result, arrays)


def gradient_norms(
    programs: Programs,
    window: BatchLike,
    state: State,
    buffers: list[Tensor],
    count: Tensor,
) -> Tensor:
    """How strongly the loss of the last timestep depends on each state before it.

        phi_s = mean over rows of || d loss_T / d state before timestep s ||

    Args:
        programs: The trainer's `Programs` for training.
        window: `Batch` of one window whose length, with padding, is known; its weights
            are 0 except at the last timestep.
        state: Named state.
        buffers: Values of the model's buffers, all of them random seeds.
        count: Timesteps before the padding, a scalar integer tensor.

    Returns:
        Tensor `(timesteps,)`, in the order of time.
    """
    segments, like = SegmentedWindow(programs, window, buffers, 1), state
    last, state, kept, weights = kept_states.sweep(segments, state, count - 1)
    _, weights, found = segments.differentiate_last(last, state, weights, 1)

    def norm(gradient: list[Tensor]) -> Tensor:
        # The loss is a mean over rows and may be scaled.
        scale = programs.optimizer.scale_loss(tf.constant(1.0))
        return tf.reduce_sum(row_norms(gradient)) / scale

    def one(
        step: Tensor,
        state_gradient: list[Tensor],
        kept: list[tf.TensorArray],
        norms: tf.TensorArray,
    ) -> tuple:
        state = kept_states.read(kept, step, like)
        _, found = segments.differentiate(step, state, weights, state_gradient)
        norms = norms.write(step, norm(found.of_state))
        return step - 1, found.of_state, kept, norms

    norms = kept_states.array_like(segments.count, norm(found.of_state))
    norms = norms.write(last, norm(found.of_state))
    *_, norms = tf.while_loop(
        lambda step, *_: step >= 0, one, (last - 1, found.of_state, kept, norms)
    )
    return norms.stack()
