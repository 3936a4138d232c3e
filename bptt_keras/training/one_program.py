"""All windows of a batch as one program, for models whose windows are short work.

XLA takes some 0.1 ms to start a program and to hand over what it made, more than a
window of a few units takes to compute. So the loop over windows is compiled as well,
with updates and metrics inside: one start for each batch.
"""

import tensorflow as tf

from bptt_keras.training import checks, loop
from bptt_keras.training.updates import when


class OneProgram:
    """Runs the windows of a batch inside one compiled program.

    XLA knows no assertions. A window that fails a check changes nothing, nor does any
    that comes after it, and what failed is said when the program is done.

    Args:
        programs: The trainer's `Programs`.
        size: Timesteps of a window, or `None`: all of a batch.
        run: Function `(window, state) -> programs.Window`.
        take: Function `(window, result) -> state` that keeps what the window made:
            weights, buffers, metrics.
        finish: `None`, or function without arguments, for what is kept after the last
            window.
        collected: `None`, or structure of `tf.TensorSpec`, `(None, None, ...)`: the
            windows' outputs are joined along time.

    Attributes:
        on: Whether it is in use; at first it is not.
        program: The compiled function `(batch, state)`, which returns what is made of
            the batch, and the number of the first check that failed, or -1.
    """

    def __init__(self, programs, size, run, take, *, finish=None, collected=None):
        self._size = size
        self._run = run
        self._take = take
        self._finish = finish
        self._collected = collected
        # Known once the program has been traced.
        self._messages = None
        self.on = False
        self.program = programs.compiled(self._windows)

    def serves(self, batch):
        """Whether it runs a `Batch`: it is on, and tracing knows the length."""
        return self.on and batch.known_length is not None

    def __call__(self, batch, state):
        """Runs a batch that it serves.

        Args:
            batch: `Batch`.
            state: Named state at its start.

        Returns:
            The state after it, or `(outputs, state)` if outputs are collected.
        """
        made, failed = self.program(batch.without_places(), state)
        found = [
            checks.require(tf.not_equal(failed, number), message)
            for number, message in enumerate(self._messages)
        ]
        with tf.control_dependencies(found):
            return tf.nest.map_structure(tf.identity, made)

    def _windows(self, batch, state):
        def body(window, carried):
            state, failed = carried
            result = self._run(window, state)
            failed = tf.where(failed < 0, self._first_failure(result), failed)
            state = tf.cond(
                failed < 0, lambda: self._take(window, result), lambda: result.state
            )
            return result.outputs, (state, failed)

        carried, outputs = (state, tf.constant(-1)), None
        if self._collected is None:
            state, failed = loop.each_window(
                batch, carried, self._size, lambda *args: body(*args)[1]
            )
        else:
            outputs, (state, failed) = loop.collect_windows(
                batch, carried, self._size, body, self._collected
            )
        if self._finish is not None:
            when(failed < 0, self._finish)
        return (state if outputs is None else (outputs, state)), failed

    def _first_failure(self, result):
        found = checks.window_checks(result)
        self._messages = list(found)
        failed = tf.constant(-1)
        for number, valid in reversed(list(enumerate(found.values()))):
            failed = tf.where(valid, failed, number)
        return failed
