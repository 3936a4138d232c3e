"""Evaluation and prediction of a batch: its windows, without gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from bptt_keras.training.batches.batch import Batch
from bptt_keras.training.programs.graph_checks import require_valid_window
from bptt_keras.training.programs.loop import each_window
from bptt_keras.training.programs.result import WindowResult
from bptt_keras.training.programs.whole_batch import WholeBatchProgram
from bptt_keras.training.programs.window import Programs
from bptt_keras.types import State, Structure


class Evaluation:
    """Evaluates batches window by window.

    Args:
        programs: The trainer's `Programs` for evaluation.
        size: Timesteps of a window, or `None`: all of a batch.
        count: Function `(window, result)` that adds a window to what is reported.
        collected: Structure of `tf.TensorSpec` of the outputs if those of whole batches
            are needed, else `None`.

    Attributes:
        in_one: `WholeBatchProgram` of the windows of a batch.
    """

    def __init__(
        self,
        programs: Programs,
        size: int | None,
        count: Callable[[Any, WindowResult], None],
        collected: Structure = None,
    ):
        self._programs = programs
        self._size = size
        self._count = count
        self._specs = collected
        self.in_one = WholeBatchProgram(self, programs, size, specs=collected)

    def __call__(self, batch: Batch, state: State) -> tuple[Structure, State]:
        """`(outputs, state)` after all windows; outputs are `None` if not needed."""
        if self.in_one.runs(batch):
            return self.in_one(batch, state)
        return each_window(batch, state, self._size, self.window, specs=self._specs)

    def window(self, window: Batch, state: State) -> tuple[Structure, State]:
        """`(outputs, state)` after one window."""
        result = self._programs.run_padded(self._programs.evaluate, window, state)
        with tf.control_dependencies(require_valid_window(result)):
            return result.outputs, self.take(window, result)

    def run(self, window: Batch, state: State) -> WindowResult:
        """The result of a window of exactly this size."""
        return self._programs.run(self._programs.evaluate, window, state)

    def take(self, window: Batch, result: WindowResult) -> State:
        """Keeps buffers and counts the window; returns the state to continue from."""
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
        in_one: `WholeBatchProgram` of the windows of a batch.
    """

    def __init__(self, programs: Programs, size: int | None, outputs: Structure):
        self._programs = programs
        self._size = size
        self._specs = outputs
        self.in_one = WholeBatchProgram(self, programs, size, specs=outputs)

    def __call__(self, batch: Batch, state: State) -> tuple[Structure, State]:
        """`(outputs, state)` after all windows of a batch."""
        if self.in_one.runs(batch):
            return self.in_one(batch, state)
        return each_window(batch, state, self._size, self.window, specs=self._specs)

    def window(self, window: Batch, state: State) -> tuple[Structure, State]:
        """`(outputs, state)` after one window."""
        return run_forward(self._programs.predict, self._programs, window, state)

    def run(self, window: Batch, state: State) -> WindowResult:
        """The result of a window of exactly this size."""
        return self._programs.run(self._programs.predict, window, state)

    def take(self, window: Batch, result: WindowResult) -> State:
        """Keeps buffers; returns the state to continue from."""
        self._programs.keep_buffers(result.buffers)
        return result.state


def run_forward(
    program: Callable[..., WindowResult],
    programs: Programs,
    window: Batch,
    state: State,
) -> tuple[Structure, State]:
    """Runs a program that needs no targets on a window.

    Args:
        program: One of the programs, such as `programs.predict`.
        programs: The `Programs` to which it belongs.
        window: `Batch` of one window.
        state: Named state.

    Returns:
        `(outputs, state)`; outputs are `None` if the program returns none.
    """
    result = programs.run_padded(program, window, state)
    outputs = result.outputs
    with tf.control_dependencies(require_valid_window(result)):
        programs.keep_buffers(result.buffers)
        if outputs is not None:
            outputs = tf.nest.map_structure(tf.identity, outputs)
    return outputs, result.state
