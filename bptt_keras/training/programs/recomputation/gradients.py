"""Gradients of windows in segments: chooses the algorithm."""

from __future__ import annotations

from typing import Any

from bptt_keras.training.programs.batch_like import BatchLike
from bptt_keras.training.programs.padding import cut_result
from bptt_keras.training.programs.recomputation.revolve import revolve_gradients
from bptt_keras.training.programs.recomputation.segmented_window import known_length
from bptt_keras.training.programs.recomputation.segments import segment_gradients
from bptt_keras.training.programs.recomputation.stepwise import scaled_gradients
from bptt_keras.training.programs.result import WindowResult
from bptt_keras.training.programs.window import Programs
from bptt_keras.types import State, Tensor


class SegmentedGradients:
    """Gradients segment by segment: some states are kept, the others recomputed.

    The number of segments has to be known when the program is traced. A window of
    unknown length is padded to the full length with invalid timesteps.

    Args:
        programs: The trainer's `Programs`.
        method: `truncation.Segments`, `truncation.Revolve`, or a schedule that is
            `stepwise`, such as `truncation.ARTBP`.
        window: Timesteps of a full window, or `None`: the whole batch.
    """

    def __init__(self, programs: Programs, method: Any, window: int | None):
        self._programs = programs
        self._method = method
        self._window = window
        self._stops_early = method.stepwise
        run = self._step_by_step if self._stops_early else self._in_segments
        self._program = programs.compiled(run)

    def __call__(self, window: BatchLike, state: State) -> WindowResult:
        """The result of a `Batch` of one window."""
        programs = self._programs
        if not self._stops_early and window.known_length is not None:
            return programs.run(self._program, window, state)
        if self._window is None:
            raise ValueError(
                "`recompute` with `window=None` needs the number of timesteps of "
                "a batch when the step is traced, and batches of several lengths "
                "came. Pad them to one length (with `lengths`), or give a "
                "`window`."
            )
        timed = programs.sequence_output
        full = window.padded_to(self._window, timed_targets=timed)
        extra = [window.length] if self._stops_early else []
        result = programs.run(self._program, full, state, *extra)
        if result.outputs is None or not timed:
            return result
        return cut_result(result, window.rows, window.target_length, timed=True)

    def _step_by_step(
        self, window: BatchLike, state: State, buffers: list[Tensor], count: Tensor
    ) -> WindowResult:
        factors = self._method.factors()
        return scaled_gradients(
            self._programs, window, state, buffers, count, factors=factors
        )

    def _in_segments(
        self, window: BatchLike, state: State, buffers: list[Tensor]
    ) -> WindowResult:
        steps = known_length(window)
        length = self._method.segment_length(steps)
        segments = -(-steps // length)
        slots = self._method.slots(segments)
        if slots >= segments - 1:
            # There are enough slots for the state before each segment.
            return segment_gradients(
                self._programs, window, state, buffers, length=length
            )
        return revolve_gradients(
            self._programs,
            window,
            state,
            buffers,
            length=length,
            slots=slots,
            plan=self._method.plan(segments),
        )
