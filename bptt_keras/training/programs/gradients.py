"""Where the gradient of a window comes from: one run, recomputation, random cuts."""

from bptt_keras.training.batches.batch import steps_of
from bptt_keras.training.programs.padding import cut_window, run_padded
from bptt_keras.training.programs.segments import (
    Layout,
    segmented_gradients,
    step_by_step,
)
from bptt_keras.training.programs.shards import run_sharded


class WholeGradients:
    """One run over the window, which keeps all that the backward pass needs.

    Args:
        programs: The trainer's `Programs`.
        program: One of its programs for gradients.
    """

    def __init__(self, programs, program):
        self._programs = programs
        self._program = program

    def __call__(self, window, state):
        """`programs.Window` of a `Batch` of one window, of few sizes for XLA."""
        timed = self._programs.sequence_output
        return run_padded(
            self._programs, self.exactly, window, state, timed=timed, at_front=not timed
        )

    def exactly(self, window, state):
        """The same for a window of just this size."""
        buffers = self._programs.buffer_values()
        return run_sharded(self._program, window, state, buffers, self._programs.shards)

    def at_end_of(self, length, new, window, state):
        """The same for a short window, at the end of a full one.

        Args:
            length: Timesteps of a full window.
            new: Those of its targets.
            window: `Batch` with fewer of either.
            state: Named state.
        """
        longer = window.padded_to(length, new=new, at_front=True)
        result = self(longer, state)
        given = steps_of(window.targets)
        return cut_window(result, window.rows, given, timed=True, at_front=True)


class SegmentedGradients:
    """Segment after segment; some states are kept and the rest is made again.

    The plan needs to know a window's length when it is traced. Where it is not known,
    the window is padded to the full length, with steps that are not valid.

    Args:
        programs: The trainer's `Programs`.
        method: `truncation.Segments`, `truncation.Revolve`, or a schedule that is
            `stepwise`, such as `truncation.ARTBP`.
        window: Timesteps of a full window, or `None` where it is the whole batch.
    """

    def __init__(self, programs, method, window):
        self._programs = programs
        self._method = method
        self._window = window
        self._stops_early = method.stepwise
        self._program = programs.compiled(self._run)

    def __call__(self, window, state):
        """`programs.Window` of a `Batch` of one window."""
        programs, given = self._programs, window
        length, extra = window.length, []
        if self._stops_early or window.known_length is None:
            if self._window is None:
                raise ValueError(
                    "`recompute` with `window=None` needs the number of timesteps of "
                    "a batch when the step is traced, and batches of several lengths "
                    "came. Pad them to one length (with `lengths`), or give a "
                    "`window`."
                )
            window = window.padded_to(
                self._window, timed_targets=programs.sequence_output
            )
        if self._stops_early:
            extra = [length]
        result = run_sharded(
            self._program,
            window,
            state,
            programs.buffer_values(),
            programs.shards,
            *extra,
        )
        if window is given or result.outputs is None or not programs.sequence_output:
            return result
        return cut_window(result, given.rows, steps_of(given.targets), timed=True)

    def _run(self, window, state, buffers, count=None):
        layout = self._layout(window.known_length)
        return segmented_gradients(
            self._programs, layout, window, state, buffers, count
        )

    def _layout(self, length):
        if self._method.stepwise:
            return step_by_step(length, self._method.factors())
        steps = self._method.segment_length(length)
        segments = -(-length // steps)
        return Layout(steps, self._method.slots(segments), self._method.plan(segments))
