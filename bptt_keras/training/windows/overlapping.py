"""Windows that start before the previous one ends: `stride < window`."""

from __future__ import annotations

from collections.abc import Callable
from typing import cast

import tensorflow as tf

from bptt_keras.training.batches.batch import Batch
from bptt_keras.training.programs.loop import each_span
from bptt_keras.training.programs.padding import cut_result
from bptt_keras.training.programs.recomputation.gradients import SegmentedGradients
from bptt_keras.training.programs.result import WindowResult
from bptt_keras.training.programs.window import Programs
from bptt_keras.truncation.schedule import Schedule
from bptt_keras.types import State, Tensor


class OverlappingWindows:
    """Trains on the windows of a batch where each reaches back into the previous one.

    A full window has `window` timesteps, `stride` of them new. Windows at the start of
    a sequence and the one at the end of a batch have fewer.

    Args:
        programs: The trainer's `Programs` for training.
        schedule: The schedule of windows, with `stride < window`.
        segmented: `SegmentedGradients`, or `None`: all states of a window are kept.
        learn: Function `(window, result, rate, kept) -> state` that uses the result of
            a window and continues from the state `kept`, or from that of the result if
            `kept` is `None`.
    """

    def __init__(
        self,
        programs: Programs,
        schedule: Schedule,
        segmented: SegmentedGradients | None,
        learn: Callable[..., State],
    ):
        self._programs = programs
        # A schedule whose windows overlap has both.
        self._window = cast(int, schedule.window)
        self._stride = cast(int, schedule.stride)
        self._segmented = segmented
        self._learn = learn
        self._resuming = programs.gradients_resuming(self._stride)

    def train(
        self,
        batch: Batch,
        lead: int | Tensor,
        spans: Tensor,
        rates: Tensor,
        state: State,
    ) -> State:
        """Trains on the windows of a batch.

        Args:
            batch: `Batch`.
            lead: Timesteps of its inputs before its first target.
            spans: The windows, as `spans.planned` returns them.
            rates: Factors of the learning rate, from the same function.
            state: Named state at the first timestep.

        Returns:
            The state at the timestep where the next window resumes.
        """

        def one(
            start: Tensor,
            first_new: Tensor,
            stop: Tensor,
            resume: Tensor,
            rate: Tensor,
            state: State,
        ) -> State:
            length, new = stop - start, stop - first_new

            def full() -> State:
                window = batch.cut(start, self._window, new=self._stride, lead=lead)
                return self._full(window, state, rate)

            def short() -> State:
                window = batch.cut(start, length, new=new, lead=lead)
                return self._short(window, state, rate, resume - start)

            is_full = (length == self._window) & (new == self._stride)
            return tf.cond(is_full, full, short)

        return each_span(spans, rates, state, one)

    def _full(self, window: Batch, state: State, rate: Tensor) -> State:
        if self._segmented is not None:
            result = self._segmented(window, state)
            kept = self._state_after(self._stride, window, state)
            return self._learn(window, result, rate, kept)
        result = self._programs.run_padded(self._resuming, window, state)
        return self._learn(window, result, rate, None)

    def _short(self, window: Batch, state: State, rate: Tensor, after: Tensor) -> State:
        """Trains on a shorter window; the next one starts `after` timesteps into it."""
        programs = self._programs
        if self._segmented is not None:
            result = self._segmented(window, state)
        elif programs.sizes.on:
            result = self._at_end_of_full(window, state)
            return self._learn(window, result, rate, None)
        else:
            # Lengths differ: without padding, XLA would compile one program for each.
            result = programs.run_padded(programs.plain_gradients, window, state)
        return self._learn(
            window, result, rate, self._state_after(after, window, state)
        )

    def _at_end_of_full(self, window: Batch, state: State) -> WindowResult:
        """The result of a short window, padded at its front to a full one.

        So the next window starts, as after a full window, from the state after `stride`
        timesteps.
        """
        longer = window.padded_to(self._window, new=self._stride, at_front=True)
        result = self._programs.run_padded(self._resuming, longer, state)
        return cut_result(
            result, window.rows, window.target_length, timed=True, at_front=True
        )

    def _state_after(self, length: int | Tensor, window: Batch, state: State) -> State:
        """The state after the first timesteps of a window."""
        programs = self._programs

        def advanced() -> State:
            known = isinstance(length, int)
            advance = programs.advance if known else programs.plain_advance
            first = window.first_steps(length)
            return advance(first, state, programs.buffer_values()).state

        if isinstance(length, int):
            return advanced()
        return tf.cond(length > 0, advanced, lambda: state)
