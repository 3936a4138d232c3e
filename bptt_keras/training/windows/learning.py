"""Training on a batch: its windows, their gradients and updates."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import tensorflow as tf

from bptt_keras.state import floats
from bptt_keras.training.assertions import run_if
from bptt_keras.training.batches.batch import Batch
from bptt_keras.training.programs.graph_checks import require_valid_window
from bptt_keras.training.programs.loop import before_last, each_span, each_window
from bptt_keras.training.programs.recomputation.gradients import SegmentedGradients
from bptt_keras.training.programs.result import WindowResult, counted_if
from bptt_keras.training.programs.whole_batch import WholeBatchProgram
from bptt_keras.training.programs.window import Programs
from bptt_keras.training.windows.overlapping import OverlappingWindows
from bptt_keras.training.windows.poison import clean, is_sound
from bptt_keras.training.windows.reach import Reach
from bptt_keras.training.windows.spans import last_start, planned
from bptt_keras.training.windows.updates import Updates
from bptt_keras.truncation.schedule import Schedule, checked_spans
from bptt_keras.types import State, Structure, Tensor


class Learning:
    """Trains on batches window by window.

    Args:
        programs: The trainer's `Programs` for training.
        schedule: Schedule of windows, from `bptt_keras.truncation`.
        recomputation: `truncation.Segments`, `truncation.Revolve` or `None`.
        updates: `Updates`.
        perturb: Function that disturbs the state passed from window to window.
        count: Function `(window, result)` that adds a window to what is reported.
        collected: Structure of `tf.TensorSpec` of the outputs if those of whole batches
            are needed, else `None`.

    Attributes:
        updates: As passed in.
        in_one: `WholeBatchProgram` of the windows of a batch, or `None` if windows
            overlap or have random lengths.
    """

    def __init__(
        self,
        programs: Programs,
        schedule: Schedule,
        recomputation: Any,
        updates: Updates,
        *,
        perturb: Callable[[State], State],
        count: Callable[[Any, WindowResult], None],
        collected: Structure = None,
    ):
        self._programs = programs
        self._schedule = schedule
        self.updates = updates
        self._perturb = perturb
        self._count = count
        self._specs = collected
        method = schedule if schedule.stepwise else recomputation
        self._segmented = None
        if method is not None:
            self._segmented = SegmentedGradients(programs, method, schedule.longest)
        self.in_one = self._overlapping = self._reach = None
        if not (schedule.random or schedule.lead):
            self.in_one = WholeBatchProgram(
                self, programs, schedule.window, specs=collected
            )
        if schedule.lead:
            self._overlapping = OverlappingWindows(
                programs, schedule, self._segmented, self._learn
            )
        if schedule.observes:
            self._reach = Reach(programs, schedule)
        self._flush = programs.compiled(updates.flush, xla=False)
        self._clean = programs.compiled(clean)
        self._is_sound = programs.compiled(is_sound)

    def train(
        self, batch: Batch, state: State, lead: int | Tensor
    ) -> tuple[State, int | Tensor, Structure]:
        """Trains on the windows of a batch with a loss at every timestep.

        Args:
            batch: `Batch`.
            state: Named state at its first timestep.
            lead: Timesteps of its inputs before its first target.

        Returns:
            `(state, resume, outputs)`: the state for the next batch, the timestep
            that it belongs to, and the outputs of the batch, or `None`.
        """
        if self.in_one is None:
            state, resume = self._each_span(batch, state, lead)
            outputs = None
        else:
            outputs, state = self._in_order(batch, state)
            resume = batch.length
        # The state depends on the checks in the windows, so this comes after them.
        with tf.control_dependencies(tf.nest.flatten(state)):
            self.updates.end_sequence()
        return state, resume, outputs

    def train_end(
        self,
        batch: Batch,
        state: State,
        *,
        burn_in: int,
        warm_up: Callable[[Batch, State], State],
    ) -> State:
        """Trains on the last window of a batch whose loss is at its end.

        Args:
            batch: `Batch` whose targets have no time axis.
            state: Named state at its first timestep.
            burn_in: Timesteps that gradients do not reach.
            warm_up: Function `(batch, state) -> state` for the timesteps before it.

        Returns:
            The state after the batch.
        """
        with tf.control_dependencies(self._measured(batch, state, warm_up)):
            start, rate = last_start(self._schedule, batch.length, burn_in)
        before, last = before_last(batch, start)
        if before is not None:
            state = warm_up(before, state)
        state = self._learn(last, self._gradients(last, state), rate)
        self.updates.end_sequence()
        return state

    def flush(self) -> None:
        """Applies gradients that are waiting for an update."""
        if self.updates.wait:
            self._flush()

    # --- Window after window ---------------------------------------------------

    def _in_order(self, batch: Batch, state: State) -> tuple[Structure, State]:
        """Windows of one size, one after the other."""
        if self.in_one is not None and self.in_one.runs(batch):
            return self.in_one(batch, state)
        size = self._schedule.window
        return each_window(batch, state, size, self.window, specs=self._specs)

    def _each_span(
        self, batch: Batch, state: State, lead: int | Tensor
    ) -> tuple[State, Tensor]:
        """Windows of random length, or windows that overlap."""
        # Nothing else makes the plan of the windows depend on the measurement.
        with tf.control_dependencies(self._measured(batch, state)):
            spans_of = functools.partial(checked_spans, self._schedule)
            spans, rates = planned(spans_of, batch.length - lead, lead)
        if self._overlapping is not None:
            state = self._overlapping.train(batch, lead, spans, rates, state)
        else:
            state = each_span(spans, rates, state, self._of_any_length(batch))
        return state, spans[-1, 3]

    def _of_any_length(self, batch: Batch) -> Callable[..., State]:
        def one(
            start: Tensor,
            first_new: Tensor,
            stop: Tensor,
            resume: Tensor,
            rate: Tensor,
            state: State,
        ) -> State:
            window = batch.cut(start, stop - start)
            return self._learn(window, self._gradients(window, state), rate)

        return one

    def _measured(
        self, batch: Batch, state: State, warm_up: Callable | None = None
    ) -> list[Tensor]:
        """Tensors that are ready once an adaptive schedule has seen gradient norms."""
        return [] if self._reach is None else self._reach.see(batch, state, warm_up)

    # --- One window ------------------------------------------------------------

    def window(self, window: Batch, state: State) -> tuple[Structure, State]:
        """Trains on one window: gradients, checks, update.

        Args:
            window: `Batch` of one window.
            state: Named state.

        Returns:
            `(outputs, state)`: the outputs at its new timesteps, or `None`, and the
            state from which the next window starts.
        """
        result = self._gradients(window, state)
        return result.outputs, self._learn(window, result)

    def _gradients(self, window: Batch, state: State) -> WindowResult:
        """The result of a window, padded to one of a few sizes if needed."""
        window = window._replace(share=None)
        if self._segmented is not None:
            return self._segmented(window, state)
        return self._programs.run_padded(self._programs.gradients, window, state)

    def run(self, window: Batch, state: State) -> WindowResult:
        """The result of a window of exactly this size, gradients included."""
        if self._segmented is not None:
            return self._segmented(window, state)
        return self._programs.run(self._programs.gradients, window, state)

    def _learn(
        self,
        window: Batch,
        result: WindowResult,
        rate: Tensor | None = None,
        kept: State | None = None,
    ) -> State:
        """Uses a result if it is valid, and stops the step otherwise."""
        with tf.control_dependencies(require_valid_window(result)):
            return self.take(window, result, rate, kept)

    def take(
        self,
        window: Batch,
        result: WindowResult,
        rate: Tensor | None = None,
        kept: State | None = None,
    ) -> State:
        """Updates weights, buffers and metrics.

        Args:
            window: `Batch` of one window.
            result: Its result.
            rate: Factor of the learning rate. Default (`None`): 1.
            kept: State to continue from. Default (`None`): that of the result.

        Returns:
            The state from which the next window starts.
        """
        rate = tf.constant(1.0) if rate is None else rate
        if window.share is not None:
            result = counted_if(window.share.counts, result)
        result = self.updates.add(result, rate, window.share)
        state, buffers = result.state if kept is None else kept, result.buffers
        if self.updates.skips:
            state, buffers = self._cleaned(window.rows, state, buffers)
        self._programs.keep_buffers(buffers)
        if self.updates.skips:
            # A single NaN would make the average NaN.
            run_if(tf.math.is_finite(result.loss), lambda: self._count(window, result))
        else:
            self._count(window, result)
        return self._perturb(state)

    def _cleaned(
        self, rows: Any, state: State, buffers: list[Tensor]
    ) -> tuple[State, list[Tensor]]:
        """What a window passes on: as it is, or without what is not finite."""
        if not (floats(state) or buffers):
            return state, buffers

        def cleaned() -> tuple[State, list[Tensor]]:
            initial = self._programs.step.initial_state(rows)
            old = self._programs.buffer_values()
            return self._clean(state, initial, buffers, old)

        sound = self._is_sound(state, buffers)
        return tf.cond(sound, lambda: (state, buffers), cleaned)
