"""How a batch is learnt from: its windows, their gradients, their updates."""

import numpy as np
import tensorflow as tf

from bptt_keras.training import checks, loop
from bptt_keras.training.one_program import OneProgram
from bptt_keras.training.poison import clean
from bptt_keras.training.segments import gradient_norms, step_by_step
from bptt_keras.training.sources import SegmentedGradients, WholeGradients
from bptt_keras.training.updates import when
from bptt_keras.truncation import ARTBP, AdaptiveWindow, FixedWindow


class Learning:
    """Trains on batches window by window.

    Args:
        programs: The trainer's `Programs` for training.
        schedule: Schedule of windows, from `bptt_keras.truncation`.
        recomputation: `truncation.Segments`, `truncation.Revolve` or `None`.
        updates: `Updates`.
        perturb: Function of the state that a window hands on.
        count: Function `(window, result)` that adds a window to what is reported.

    Attributes:
        updates: As passed in.
        in_one: `OneProgram` of the windows of a batch, or `None` where the schedule
            draws them or overlaps them.
    """

    def __init__(self, programs, schedule, recomputation, updates, *, perturb, count):
        self._programs = programs
        self._schedule = schedule
        self.updates = updates
        self._perturb = perturb
        self._count = count
        method = schedule if isinstance(schedule, ARTBP) else recomputation
        if method is not None:
            window = schedule.window
            self._gradients = SegmentedGradients(programs, method, window)
            self._full = self._short = self._gradients
        else:
            self._gradients = WholeGradients(programs, programs.gradients)
            # Not compiled: each of these windows has another length.
            self._short = WholeGradients(programs, programs.plain_gradients)
        self.in_one = None
        if isinstance(schedule, FixedWindow) and not schedule.lead:
            self.in_one = OneProgram(
                programs,
                schedule.window,
                self._gradients,
                self._take,
                self._next_window,
            )
        self._flush = programs.compiled(updates.flush, xla=False)
        self._decay = programs.compiled(self._gradient_norms)
        self._clean = programs.compiled(clean)
        self._resumes_inside = method is None and schedule.lead > 0
        if self._resumes_inside:
            program = programs.gradients_resuming(schedule.stride)
            self._full = WholeGradients(programs, program)

    def train(self, batch, state, lead):
        """Learns from the windows of a batch with a loss at every timestep.

        Args:
            batch: `Batch`.
            state: Named state at its first timestep.
            lead: Timesteps of its inputs that come before its first target.

        Returns:
            `(state, resume)`: the state for the next batch, and the timestep where it
            stands.
        """
        schedule = self._schedule
        measured = self._measure(batch, state, warm_up=None)
        if self.in_one is not None:
            state = self.in_one(batch, state)
            resume = batch.length
        else:
            # Nothing else says that windows are planned after the measurement.
            with tf.control_dependencies(measured):
                spans, rates = _planned(schedule.spans, batch.length - lead, lead)
            state = self._each_span(batch, lead, spans, rates, state)
            resume = spans[-1, 3]
        # After what is checked in the windows, which the state waits for.
        with tf.control_dependencies(tf.nest.flatten(state)):
            self.updates.end_sequence()
        return state, resume

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
        state = self._window(self._gradients, last, state, rate)
        self.updates.end_sequence()
        return state

    def flush(self):
        """Applies gradients that wait for more windows until an update."""
        self._flush()

    # --- Windows ---------------------------------------------------------------

    def _next_window(self, window, state):
        return self._window(self._gradients, window, state, tf.constant(1.0))

    def _each_span(self, batch, lead, spans, rates, state):
        """The windows of a plan, each cut to what it needs."""
        schedule = self._schedule

        def varying(start, first_new, stop, resume, rate, state):
            window = batch.steps(start, stop - start)
            return self._window(self._gradients, window, state, rate)

        def overlapping(start, first_new, stop, resume, rate, state):
            length, new = stop - start, stop - first_new
            full = (length == schedule.window) & (new == schedule.stride)

            def cut(length, new):
                return batch.steps(start, length, new=new, lead=lead)

            def run_full():
                window = cut(schedule.window, schedule.stride)
                kept = None
                if not self._resumes_inside:
                    kept = self._state_after(schedule.stride, window, state)
                return self._window(self._full, window, state, rate, kept)

            def run_short():
                window = cut(length, new)
                kept = self._state_after(resume - start, window, state)
                return self._window(self._short, window, state, rate, kept)

            return tf.cond(full, run_full, run_short)

        body = overlapping if schedule.lead else varying
        return loop.each_span(spans, rates, state, body)

    # --- How far gradients reach -----------------------------------------------

    def _measure(self, batch, state, warm_up):
        """Lets an adaptive schedule see the decay of gradients, if it wants to.

        Returns:
            List of tensors that are ready when it has seen it.
        """
        schedule = self._schedule
        if not isinstance(schedule, AdaptiveWindow):
            return []

        def measured():
            length = tf.minimum(batch.length, schedule.longest)
            if warm_up is None:
                window, start = batch.steps(0, length), state
                weights = tf.one_hot(length - 1, length)[None]
                if window.weights is not None:
                    weights = tf.nest.map_structure(
                        lambda w: w * weights, window.weights
                    )
                else:
                    weights = tf.tile(weights, [batch.rows, 1])
                window = window._replace(weights=weights)
            else:
                lead, window = loop.before_last(batch, batch.length - length)
                start = state if lead is None else warm_up(lead, state)
            norms = self._decay(
                window.padded_to(schedule.longest, timed_targets=warm_up is None),
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
            State that the next window starts from.
        """
        result = gradients(window, state)
        with tf.control_dependencies(checks.require_valid_window(result)):
            return self._take(window, result, rate, kept)

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
