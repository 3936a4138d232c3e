"""Many windows as one program, for models whose windows are short work.

XLA takes some 0.1 ms to start a program and to hand over what it made, more than a
window of a few units takes to compute. So the loop over windows is compiled as well,
with updates and metrics inside: one start for each batch.
"""

import tensorflow as tf

from bptt_keras.training.assertions import require
from bptt_keras.training.programs import loop
from bptt_keras.training.programs.graph_checks import window_checks
from bptt_keras.training.programs.padding import with_rows

# Windows of a program where the length of a batch is not known: as of a stream, whose
# last batch is shorter.
SEVERAL = 8


class OneProgram:
    """Runs the windows of a batch inside one compiled program, or 8 at a time.

    XLA knows no assertions. A window that fails a check changes nothing, nor does any
    that comes after it, and what failed is said when the program is done.

    Args:
        programs: The trainer's `Programs`.
        size: Timesteps of a window, or `None`: all of a batch.
        run: Function `(window, state) -> programs.Window`.
        take: Function `(window, result) -> state` that keeps what the window made:
            weights, buffers, metrics.
        window: Function `(window, state)` that does both, and asserts between them:
            for windows that the program does not serve.
        collected: `None`, or structure of `tf.TensorSpec`, `(None, None, ...)`: the
            windows' outputs are joined along time.

    Attributes:
        on: Whether it is in use; at first it is not.
        serves: Whether it can run the data that are being traced.
        program: The compiled function `(batch, state)`, which returns what is made of
            the batch, and the number of the first check that failed, or -1.
    """

    def __init__(self, programs, size, run, take, window, *, collected=None):
        self._sizes = programs.sizes
        self._size = size
        self._run = run
        self._take = take
        self._window = window
        self._collected = collected
        # Known once the program has been traced.
        self._messages = None
        self.on, self.serves = False, True
        self.program = programs.compiled(self._windows)

    def steps(self, length):
        """Timesteps that one call of the program runs, `None` where it cannot.

        Args:
            length: Those of the batch, or `None` where tracing does not know.
        """
        if length is not None or self._size is None:
            return length
        return SEVERAL * self._size

    def __call__(self, batch, state):
        """Runs a batch, by the program as far as that is on and fits.

        Args:
            batch: `Batch`.
            state: Named state at its start.

        Returns:
            The state after it, or `(outputs, state)` if outputs are collected.
        """
        steps = self.steps(batch.known_length)
        if not (self.on and self.serves) or steps is None:
            return self._one_by_one(batch, state)
        if batch.known_length is not None:
            return self._at_once(batch, state)

        def singly(batch, state):
            return self._parts(batch, state, self._size, self._one_by_one)

        return self._parts(batch, state, steps, singly)

    def _one_by_one(self, batch, state):
        return self._loop(batch, state, self._size, self._window)

    def _parts(self, batch, state, steps, rest):
        """Runs so many timesteps at once, and by another function what is left."""

        def part(windows, state):
            run = self._at_once if windows.known_length == steps else rest
            return run(_as_batch(windows), state)

        return self._loop(batch, state, steps, part)

    def _loop(self, batch, carried, steps, body):
        if self._collected is None:
            return loop.each_window(batch, carried, steps, body)
        return loop.collect_windows(batch, carried, steps, body, self._collected)

    def _at_once(self, batch, state):
        made, failed = self._with_few_rows(batch.without_places(), state)
        found = [
            require(tf.not_equal(failed, number), message)
            for number, message in enumerate(self._messages)
        ]
        with tf.control_dependencies(found):
            return tf.nest.map_structure(tf.identity, made)

    def _with_few_rows(self, batch, state):
        """What the program makes of a batch, which may get more rows first."""
        _, rows = self._sizes.wanted(batch, steps=False)
        if rows is None:
            return self.program(batch, state)

        def padded():
            longer = batch.padded_to(batch.length, rows=rows)
            more = with_rows(state, rows - batch.rows)
            made, failed = self.program(longer, more)
            return tf.nest.map_structure(lambda t: t[: batch.rows], made), failed

        if batch.valid is not None:
            return padded()
        return tf.cond(rows > batch.rows, padded, lambda: self.program(batch, state))

    def _windows(self, batch, state):
        def body(window, carried):
            state, failed = carried
            result = self._run(window, state)
            failed = tf.where(failed < 0, self._first_failure(result), failed)
            state = tf.cond(
                failed < 0, lambda: self._take(window, result), lambda: result.state
            )
            carried = state, failed
            return carried if self._collected is None else (result.outputs, carried)

        made = self._loop(batch, (state, tf.constant(-1)), self._size, body)
        if self._collected is None:
            return made
        outputs, (state, failed) = made
        return (outputs, state), failed

    def _first_failure(self, result):
        found = window_checks(result)
        self._messages = list(found)
        failed = tf.constant(-1)
        for number, valid in reversed(list(enumerate(found.values()))):
            failed = tf.where(valid, failed, number)
        return failed


def _as_batch(windows):
    """Windows that `Batch.steps` has cut, as if they were a whole batch."""
    if windows.reset is None or windows.resets_inside:
        return windows
    # Rows that start afresh there.
    return windows._replace(reset=None, fresh=windows.reset)
