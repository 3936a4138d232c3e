"""Shows an adaptive schedule how far gradients reach."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf

from bptt_keras.training.batches.batch import Batch
from bptt_keras.training.programs.batch_like import BatchLike
from bptt_keras.training.programs.loop import before_last
from bptt_keras.training.programs.recomputation.stepwise import gradient_norms
from bptt_keras.training.programs.window import Programs
from bptt_keras.types import State, Tensor


class Reach:
    """Measures how strongly a loss depends on the states before it.

    Args:
        programs: The trainer's `Programs` for training.
        schedule: The schedule that observes the measurements.
    """

    def __init__(self, programs: Programs, schedule: Any):
        self._programs = programs
        self._schedule = schedule
        self._norms = programs.compiled(self._gradient_norms)

    def see(
        self,
        batch: Batch,
        state: State,
        warm_up: Callable[[Batch, State], State] | None = None,
    ) -> list[Tensor]:
        """Measures gradients on a batch if the schedule asks for it.

        Args:
            batch: `Batch`.
            state: Named state at its first timestep.
            warm_up: If the loss is at the end of a batch: function `(batch, state) ->
                state` for the timesteps before the last window. Default (`None`): the
                loss is at each timestep.

        Returns:
            List of tensors that are ready once the schedule has seen the measurement.
        """

        def measured() -> Tensor:
            length = tf.minimum(batch.length, self._schedule.longest)
            if warm_up is None:
                window, start = _with_loss_at_end(batch.cut(0, length), length), state
            else:
                before, window = before_last(batch, batch.length - length)
                start = state if before is None else warm_up(before, state)
            return self._observed(window, start, length, timed=warm_up is None)

        wanted = tf.numpy_function(
            lambda: np.bool_(self._schedule.wants_norms), [], tf.bool
        )
        return [tf.cond(tf.reshape(wanted, []), measured, lambda: tf.constant(0))]

    def _observed(
        self, window: Batch, state: State, length: Tensor, *, timed: bool
    ) -> Tensor:
        longest = self._schedule.longest
        padded = window.padded_to(longest, timed_targets=timed)._replace(counts=None)
        norms = self._norms(padded, state, self._programs.buffer_values(), length)

        def observe(norms: Any, length: Any) -> np.int32:
            # The last one is the state before the timestep of the loss itself.
            reaching = norms[:length][::-1]
            self._schedule.observe([reaching[0], *reaching])
            return np.int32(0)

        return tf.numpy_function(observe, [norms, length], tf.int32)

    def _gradient_norms(
        self, window: BatchLike, state: State, buffers: list[Tensor], count: Tensor
    ) -> Tensor:
        return gradient_norms(self._programs, window, state, buffers, count)


def _with_loss_at_end(window: Batch, length: Tensor) -> Batch:
    """The window with weights that are 0 except at its last timestep."""
    at_end = tf.one_hot(length - 1, length)[None]
    weights = window.weights or [tf.ones([window.rows, 1])] * len(window.targets)
    return window._replace(weights=[w * at_end for w in weights])
