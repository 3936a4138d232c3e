"""Evaluation and prediction of a batch: its windows, without gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from bptt_keras.training.batches.batch import Batch
from bptt_keras.training.programs.graph_checks import require_valid_window
from bptt_keras.training.programs.loop import each_window
from bptt_keras.training.programs.result import WindowResult, counted_if
from bptt_keras.training.programs.whole_batch import WholeBatchProgram
from bptt_keras.training.programs.window import Programs
from bptt_keras.types import State, Structure


class _Forward:
    """What evaluation and prediction share: the loop over windows of one program.

    Attributes:
        in_one: `WholeBatchProgram` of the windows of a batch.
    """

    def __init__(
        self,
        programs: Programs,
        program: Callable[..., WindowResult],
        size: int | None,
        specs: Structure,
    ):
        self._programs = programs
        self._program = program
        self._size = size
        self._specs = specs
        self.in_one = WholeBatchProgram(self, programs, size, specs=specs)

    def __call__(self, batch: Batch, state: State) -> tuple[Structure, State]:
        """`(outputs, state)` after all windows; outputs are `None` if not needed."""
        if self.in_one.runs(batch):
            return self.in_one(batch, state)
        return each_window(batch, state, self._size, self.window, specs=self._specs)

    def window(self, window: Batch, state: State) -> tuple[Structure, State]:
        """`(outputs, state)` after one window."""
        raise NotImplementedError

    def run(self, window: Batch, state: State) -> WindowResult:
        """The result of a window of exactly this size."""
        return self._programs.run(self._program, window, state)

    def take(self, window: Batch, result: WindowResult) -> State:
        """Keeps buffers; returns the state to continue from."""
        self._programs.keep_buffers(result.buffers)
        return result.state


class Evaluation(_Forward):
    """Evaluates batches window by window.

    Args:
        programs: The trainer's `Programs` for evaluation.
        size: Timesteps of a window, or `None`: all of a batch.
        count: Function `(window, result)` that adds a window to what is reported.
        collected: Structure of `tf.TensorSpec` of the outputs if those of whole batches
            are needed, else `None`.
    """

    def __init__(
        self,
        programs: Programs,
        size: int | None,
        count: Callable[[Any, WindowResult], None],
        collected: Structure = None,
    ):
        super().__init__(programs, programs.evaluate, size, collected)
        self._count = count

    def window(self, window: Batch, state: State) -> tuple[Structure, State]:
        """`(outputs, state)` after one window."""
        result = self._programs.run_padded(self._program, window, state)
        with tf.control_dependencies(require_valid_window(result)):
            return result.outputs, self.take(window, result)

    def take(self, window: Batch, result: WindowResult) -> State:
        """Keeps buffers and counts the window; returns the state to continue from."""
        state = super().take(window, result)
        if window.share is not None:
            result = counted_if(window.share.counts, result)
        self._count(window, result)
        return state


class Prediction(_Forward):
    """Predicts batches window by window.

    Args:
        programs: The trainer's `Programs` for prediction.
        size: Timesteps of a window, or `None`: all of a batch.
        outputs: Structure of `tf.TensorSpec` of the outputs.
    """

    def __init__(self, programs: Programs, size: int | None, outputs: Structure):
        super().__init__(programs, programs.predict, size, outputs)

    def window(self, window: Batch, state: State) -> tuple[Structure, State]:
        """`(outputs, state)` after one window."""
        return run_forward(self._program, self._programs, window, state)


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
