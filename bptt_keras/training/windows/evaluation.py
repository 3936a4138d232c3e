"""How a batch is evaluated and predicted: its windows, without gradients."""

import tensorflow as tf

from bptt_keras.training.programs import graph_checks as checks
from bptt_keras.training.programs.padding import run_padded
from bptt_keras.training.programs.shards import run_sharded
from bptt_keras.training.programs.whole_batch import OneProgram
from bptt_keras.training.programs.window import Window


class Evaluation:
    """Evaluates batches window by window.

    Args:
        programs: The trainer's `Programs` for evaluation.
        size: Timesteps of a window, or `None`: all of a batch.
        count: Function `(window, result)` that adds a window to what is reported.
        collected: `None`, or structure of `tf.TensorSpec` of the outputs: they are
            wanted for whole batches, too.

    Attributes:
        in_one: `OneProgram` of the windows of a batch.
    """

    def __init__(self, programs, size, count, collected=None):
        self._programs = programs
        self._count = count
        self._collects = collected is not None
        self.in_one = OneProgram(
            programs, size, self._run, self._take, self.window, collected=collected
        )

    def __call__(self, batch, state):
        """`(outputs, state)` after all windows; outputs are `None` if not wanted."""
        made = self.in_one(batch, state)
        return made if self._collects else (None, made)

    def window(self, window, state):
        """The state after one window, after its outputs where these are wanted."""
        timed = self._programs.sequence_output
        result = run_padded(
            self._programs, self._run, window, state, timed=timed, at_front=not timed
        )
        with tf.control_dependencies(checks.require_valid_window(result)):
            state = self._take(window, result)
        return (result.outputs, state) if self._collects else state

    def _run(self, window, state):
        programs = self._programs
        buffers = programs.buffer_values()
        return run_sharded(programs.evaluate, window, state, buffers, programs.shards)

    def _take(self, window, result):
        self._programs.keep_buffers(result.buffers)
        self._count(window, result)
        return result.state


class Prediction:
    """Predicts batches window by window.

    Args:
        programs: The trainer's `Programs` for prediction.
        size: Timesteps of a window, or `None`: all of a batch.
        outputs: Structure of `tf.TensorSpec` of the outputs.

    Attributes:
        in_one: `OneProgram` of the windows of a batch.
    """

    def __init__(self, programs, size, outputs):
        self._programs = programs
        self.in_one = OneProgram(
            programs, size, self._run, self._take, self.window, collected=outputs
        )

    def __call__(self, batch, state):
        """`(outputs, state)` of all windows of a `Batch`."""
        return self.in_one(batch, state)

    def window(self, window, state):
        """`(outputs, state)` of one window."""
        return run_forward(self._programs.predict, self._programs, window, state)

    def _run(self, window, state):
        programs = self._programs
        outputs, state, buffers, ids_valid = programs.predict(
            window, state, programs.buffer_values()
        )
        return Window(
            gradients=None,
            loss=None,
            terms=[],
            outputs=outputs,
            masks=None,
            state=state,
            buffers=buffers,
            ids_valid=ids_valid,
        )

    def _take(self, window, result):
        self._programs.keep_buffers(result.buffers)
        return result.state


def run_forward(program, programs, window, state):
    """Runs a program without targets on a window.

    Args:
        program: Function `(window, state, buffers) -> (outputs, state, buffers,
            ids_valid)`.
        programs: The `Programs` that it is one of.
        window: `Batch`.
        state: Named state.

    Returns:
        `(outputs, state)`.
    """

    def run(window, state):
        buffers = programs.buffer_values()
        return run_sharded(program, window, state, buffers, programs.shards)

    timed = programs.sequence_output
    outputs, state, buffers, ids_valid = run_padded(
        programs, run, window, state, timed=timed, at_front=not timed
    )
    with tf.control_dependencies(checks.require_ids(ids_valid)):
        programs.keep_buffers(buffers)
        if outputs is not None:
            outputs = tf.nest.map_structure(tf.identity, outputs)
    return outputs, state
