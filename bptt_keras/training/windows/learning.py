"""How a batch is learnt from: its windows, their gradients, their updates."""

import functools

import numpy as np
import tensorflow as tf

from bptt_keras.training.batches import checks
from bptt_keras.training.programs import loop
from bptt_keras.training.programs.gradients import SegmentedGradients, WholeGradients
from bptt_keras.training.programs.segments import gradient_norms, step_by_step
from bptt_keras.training.programs.whole_batch import OneProgram
from bptt_keras.training.windows.poison import clean
from bptt_keras.training.windows.updates import when
from bptt_keras.truncation.schedule import checked_spans


class Learning:
    """Trains on batches window by window.

    Args:
        programs: The trainer's `Programs` for training.
        schedule: Schedule of windows, from `bptt_keras.truncation`.
        recomputation: `truncation.Segments`, `truncation.Revolve` or `None`.
        updates: `Updates`.
        perturb: Function of the state that a window hands on.
        count: Function `(window, result)` that adds a window to what is reported.
        collected: `None`, or structure of `tf.TensorSpec` of the outputs: they are
            wanted for whole batches, too.

    Attributes:
        updates: As passed in.
        in_one: `OneProgram` of the windows of a batch, or `None` where the schedule
            draws them or overlaps them.
    """

    def __init__(
        self,
        programs,
        schedule,
        recomputation,
        updates,
        *,
        perturb,
        count,
        collected=None,
    ):
        self._programs = programs
        self._collects = collected is not None
        self._schedule = schedule
        self.updates = updates
        self._perturb = perturb
        self._count = count
        method = schedule if schedule.stepwise else recomputation
        if method is not None:
            window = schedule.longest
            self._gradients = SegmentedGradients(programs, method, window)
            exactly = self._gradients
        else:
            self._gradients = WholeGradients(programs, programs.gradients)
            exactly = self._gradients.exactly
        self.in_one = None
        if not (schedule.random or schedule.lead):
            self.in_one = OneProgram(
                programs,
                schedule.window,
                exactly,
                self._take,
                self._next_window,
                collected=collected,
            )
        self._flush = programs.compiled(updates.flush, xla=False)
        self._decay = programs.compiled(self._gradient_norms)
        self._clean = programs.compiled(clean)
        self._resuming, self._short = None, self._gradients
        if method is None and schedule.lead > 0:
            program = programs.gradients_resuming(schedule.stride)
            self._resuming = WholeGradients(programs, program)
            # Each of the short windows has another length: padded or not compiled.
            plain = WholeGradients(programs, programs.plain_gradients)
            self._short = self._at_end_of_full if programs.sizes.on else plain

    def train(self, batch, state, lead):
        """Learns from the windows of a batch with a loss at every timestep.

        Args:
            batch: `Batch`.
            state: Named state at its first timestep.
            lead: Timesteps of its inputs that come before its first target.

        Returns:
            `(state, resume, outputs)`: the state for the next batch, the timestep
            where it stands, and the outputs of the batch, or `None`.
        """
        schedule = self._schedule
        planned = functools.partial(checked_spans, schedule)
        measured = self._measure(batch, state, warm_up=None)
        outputs = None
        if self.in_one is not None:
            state = self.in_one(batch, state)
            if self._collects:
                outputs, state = state
            resume = batch.length
        else:
            # Nothing else says that windows are planned after the measurement.
            with tf.control_dependencies(measured):
                spans, rates = _planned(planned, batch.length - lead, lead)
            state = self._each_span(batch, lead, spans, rates, state)
            resume = spans[-1, 3]
        # After what is checked in the windows, which the state waits for.
        with tf.control_dependencies(tf.nest.flatten(state)):
            self.updates.end_sequence()
        return state, resume, outputs

    def train_end(self, batch, state, *, burn_in, warm_up):
        """Learns from the last window of a batch whose loss stands at its end.

        Args:
            batch: `Batch` whose targets have no time axis.
            state: Named state at its first timestep.
            burn_in: Timesteps that gradients do not reach.
            warm_up: Function `(lead, state) -> state`, for what comes before.

        Returns:
            State after the batch.
        """
        length, schedule = batch.length, self._schedule
        measured = self._measure(batch, state, warm_up)
        rate = tf.constant(1.0)
        if schedule.window is None:
            # Known while tracing, whatever the length is: nothing comes before it.
            start = burn_in
        elif schedule.random or not isinstance(length, int):
            with tf.control_dependencies(measured):
                spans, rates = _planned(lambda n, _: [schedule.last(n)], length, 0)
            start, rate = tf.maximum(spans[0, 0], burn_in), rates[0]
        else:
            start = max(schedule.last(length).start, burn_in)
        lead, last = loop.before_last(batch, start)
        if lead is not None:
            state = warm_up(lead, state)
        state, _ = self._window(self._gradients, last, state, rate)
        self.updates.end_sequence()
        return state

    def flush(self):
        """Applies gradients that wait for more windows until an update."""
        if self.updates.wait:
            self._flush()

    # --- Windows ---------------------------------------------------------------

    def _next_window(self, window, state):
        state, outputs = self._window(self._gradients, window, state, tf.constant(1.0))
        return (outputs, state) if self._collects else state

    def _each_span(self, batch, lead, spans, rates, state):
        """The windows of a plan, each cut to what it needs."""
        schedule = self._schedule

        def varying(start, first_new, stop, resume, rate, state):
            window = batch.steps(start, stop - start)
            return self._window(self._gradients, window, state, rate)[0]

        def overlapping(start, first_new, stop, resume, rate, state):
            length, new = stop - start, stop - first_new
            full = (length == schedule.window) & (new == schedule.stride)

            def run(length, new, gradients, steps):
                window = batch.steps(start, length, new=new, lead=lead)
                kept = None
                if gradients not in (self._resuming, self._at_end_of_full):
                    kept = self._state_after(steps, window, state)
                return self._window(gradients, window, state, rate, kept)[0]

            def run_full():
                gradients = self._resuming or self._gradients
                return run(schedule.window, schedule.stride, gradients, schedule.stride)

            def run_short():
                return run(length, new, self._short, resume - start)

            return tf.cond(full, run_full, run_short)

        body = overlapping if schedule.lead else varying
        return loop.each_span(spans, rates, state, body)

    def _at_end_of_full(self, window, state):
        """A window at the start of a sequence, or at the end of a batch.

        It runs at the end of a full one, so that the state after the stride is, as
        there, the one to go on from.
        """
        schedule = self._schedule
        return self._resuming.at_end_of(schedule.window, schedule.stride, window, state)

    # --- How far gradients reach -----------------------------------------------

    def _measure(self, batch, state, warm_up):
        """Lets an adaptive schedule see the decay of gradients, if it wants to.

        Returns:
            List of tensors that are ready when it has seen it.
        """
        schedule = self._schedule
        if not schedule.observes:
            return []

        def measured():
            length = tf.minimum(batch.length, schedule.longest)
            if warm_up is None:
                window, start = batch.steps(0, length), state
                weights = tf.one_hot(length - 1, length)[None]
                given = window.weights or [tf.ones([batch.rows, 1])] * len(
                    window.targets
                )
                window = window._replace(weights=[w * weights for w in given])
            else:
                lead, window = loop.before_last(batch, batch.length - length)
                start = state if lead is None else warm_up(lead, state)
            norms = self._decay(
                window.padded_to(
                    schedule.longest, timed_targets=warm_up is None
                )._replace(counts=None),
                start,
                self._programs.buffer_values(),
                length,
            )

            def observe(norms, length):
                # The last one is the state that the loss's own step starts from.
                reaching = norms[:length][::-1]
                schedule.observe([reaching[0], *reaching])
                return np.int32(0)

            return tf.numpy_function(observe, [norms, length], tf.int32)

        wanted = tf.numpy_function(lambda: np.bool_(schedule.wants_norms), [], tf.bool)
        return [tf.cond(tf.reshape(wanted, []), measured, lambda: tf.constant(0))]

    def _gradient_norms(self, window, state, buffers, count):
        layout = step_by_step(window.known_length)
        return gradient_norms(self._programs, layout, window, state, buffers, count)

    def _state_after(self, steps, window, state):
        """The state after the first steps of a window, where the next one resumes."""
        programs = self._programs

        def advanced():
            known = isinstance(steps, int)
            advance = programs.advance if known else programs.plain_advance
            first = window.first_steps(steps)
            _, after, *_ = advance(first, state, programs.buffer_values())
            return after

        if isinstance(steps, int):
            return advanced()
        return tf.cond(steps > 0, advanced, lambda: state)

    def _window(self, gradients, window, state, rate, kept=None):
        """One window: gradients, checks, update.

        Args:
            gradients: Function `(window, state) -> programs.Window`.
            window: `Batch`.
            state: Named state.
            rate: Factor of the learning rate.
            kept: State that is handed on; default: the one that comes out.

        Returns:
            `(state, outputs)`: the state that the next window starts from, and the
            outputs at its new timesteps, or `None`.
        """
        result = gradients(window, state)
        with tf.control_dependencies(checks.require_valid_window(result)):
            return self._take(window, result, rate, kept), result.outputs

    def _take(self, window, result, rate=None, kept=None):
        """Updates weights, buffers and metrics; returns the state to go on from."""
        self.updates.add(result, tf.constant(1.0) if rate is None else rate)
        state, buffers = result.state if kept is None else kept, result.buffers
        if self.updates.skips:
            initial = self._programs.step.initial_state(window.rows)
            old = self._programs.buffer_values()
            state, buffers = self._clean(state, initial, buffers, old)
        self._programs.keep_buffers(buffers)
        if self.updates.skips:
            # An average that has taken in one NaN stays NaN.
            when(tf.math.is_finite(result.loss), lambda: self._count(window, result))
        else:
            self._count(window, result)
        return self._perturb(state)


def _planned(spans_of, length, lead):
    """The spans of a batch as tensors `(windows, 4)`, and their rates `(windows,)`.

    Timesteps are counted from the lead's first one on.
    """

    def plan(length, lead):
        spans = spans_of(int(length), int(lead))
        # Run eagerly, `lead` is 64 bits wide, and would make the places so.
        places = np.array([span[:4] for span in spans], np.int32) + int(lead)
        return places, np.array([span.rate for span in spans], np.float32)

    # NumPy, because schedules draw and measure with plain numbers.
    spans, rates = tf.numpy_function(plan, [length, lead], [tf.int32, tf.float32])
    return tf.ensure_shape(spans, [None, 4]), tf.ensure_shape(rates, [None])
