"""Many windows as one program, for models whose windows take little work.

XLA takes about 0.1 ms to start a program and return its results, more than a window of
a few units takes to compute. So the loop over windows is compiled as well, including
updates and metrics: one start per batch.
"""

from __future__ import annotations

from typing import Any, Protocol

import tensorflow as tf

from bptt_keras.training.assertions import require
from bptt_keras.training.programs.batch_like import AnyBatch, BatchLike
from bptt_keras.training.programs.graph_checks import window_checks
from bptt_keras.training.programs.loop import each_window
from bptt_keras.training.programs.padding import with_rows
from bptt_keras.training.programs.result import WindowResult
from bptt_keras.training.programs.window import Programs
from bptt_keras.types import State, Structure, Tensor

# Windows per program if the length of a batch is not known, for example in a stream,
# whose last batch is shorter.
SEVERAL = 8


class Windows(Protocol):
    """What is done with each window: `Learning`, `Evaluation` or `Prediction`."""

    def run(self, window: Any, state: State) -> WindowResult:
        """The result of a window."""

    def take(self, window: Any, result: WindowResult) -> State:
        """Uses a result (weights, buffers, metrics); returns the state after it."""

    def window(self, window: Any, state: State) -> tuple[Structure, State]:
        """Both, with checks in between; returns `(outputs, state)`."""


class WholeBatchProgram:
    """Runs the windows of a batch inside one compiled program, or 8 at a time.

    XLA has no assertions. A window that fails a check changes nothing, nor do the
    windows after it, and the failure is reported when the program has ended.

    Args:
        windows: What is done with each window.
        programs: The trainer's `Programs`.
        size: Timesteps of a window, or `None`: all of a batch.
        specs: Structure of `tf.TensorSpec`, `(None, None, ...)`, of the outputs, which
            are then joined along time. Default (`None`): outputs are not needed.

    Attributes:
        on: Whether it is in use; initially False.
        serves: Whether it can run the kind of data that is being traced.
        program: The compiled function `(batch, state) -> (outputs, state, failed)`,
            where `failed` is the index of the first check that failed, or -1.
    """

    def __init__(
        self,
        windows: Windows,
        programs: Programs,
        size: int | None,
        *,
        specs: Structure = None,
    ):
        self._windows = windows
        self._sizes = programs.sizes
        self._size = size
        self._specs = specs
        # Known once the program has been traced.
        self._messages: list[str] = []
        self.on, self.serves = False, True
        self.program = programs.compiled(self._all_windows)

    def steps(self, length: int | None) -> int | None:
        """Timesteps that one call of the program runs, or `None` if it cannot.

        Args:
            length: Timesteps of the batch, or `None` if unknown while tracing.
        """
        if length is not None or self._size is None:
            return length
        return SEVERAL * self._size

    def runs(self, batch: BatchLike) -> bool:
        """Whether it is in use and can run this batch."""
        return self.on and self.serves and self.steps(batch.known_length) is not None

    def __call__(self, batch: BatchLike, state: State) -> tuple[Structure, State]:
        """Runs the windows of a batch.

        Args:
            batch: A `Batch` that it `runs`.
            state: Named state at its start.

        Returns:
            `(outputs, state)`: the outputs, or `None` without `specs`, and the state
            after the batch.
        """
        if batch.known_length is not None:
            return self._in_one_call(batch, state)
        return each_window(
            batch, state, self.steps(None), self._several, specs=self._specs
        )

    def _several(self, piece: BatchLike, state: State) -> tuple[Structure, State]:
        """Runs eight windows in one call, or those left at the end of a batch."""
        if piece.known_length == self.steps(None):
            return self._in_one_call(_as_batch(piece), state)
        return each_window(
            _as_batch(piece), state, self._size, self._single, specs=self._specs
        )

    def _single(self, window: BatchLike, state: State) -> tuple[Structure, State]:
        """Runs a full window with this program too, and only a shorter one outside."""
        if window.known_length == self._size:
            return self._in_one_call(_as_batch(window), state)
        return self._windows.window(window, state)

    def _in_one_call(self, batch: BatchLike, state: State) -> tuple[Structure, State]:
        outputs, state, failed = self._with_few_rows(batch.without_places(), state)
        checks = [
            require(tf.not_equal(failed, number), message)
            for number, message in enumerate(self._messages)
        ]
        with tf.control_dependencies(checks):
            if outputs is not None:
                outputs = tf.nest.map_structure(tf.identity, outputs)
            return outputs, tf.nest.map_structure(tf.identity, state)

    def _with_few_rows(
        self, batch: BatchLike, state: State
    ) -> tuple[Structure, State, Tensor]:
        """Runs the program on a batch, whose rows are padded to a few numbers."""
        rows = self._sizes.wanted_rows(batch)
        if rows is None:
            return self.program(batch, state)

        def cut(tensor: Tensor | None) -> Tensor | None:
            return None if tensor is None else tensor[: batch.rows]

        def padded() -> tuple[Structure, State, Tensor]:
            longer = batch.padded_to(batch.length, rows=rows)
            more = with_rows(state, rows - batch.rows)
            *made, failed = self.program(longer, more)
            outputs, after = tf.nest.map_structure(cut, made)
            return outputs, after, failed

        if batch.valid is not None:
            return padded()
        return tf.cond(rows > batch.rows, padded, lambda: self.program(batch, state))

    def _all_windows(
        self, batch: BatchLike, state: State
    ) -> tuple[Structure, State, Tensor]:
        def one(
            window: BatchLike, carried: tuple[State, Tensor]
        ) -> tuple[Structure, tuple[State, Tensor]]:
            state, failed = carried
            result = self._windows.run(window, state)
            failed = tf.where(failed < 0, self._first_failure(result), failed)
            state = tf.cond(
                failed < 0,
                lambda: self._windows.take(window, result),
                lambda: result.state,
            )
            return result.outputs, (state, failed)

        carried = state, tf.constant(-1)
        outputs, (state, failed) = each_window(
            batch, carried, self._size, one, specs=self._specs
        )
        return outputs, state, failed

    def _first_failure(self, result: WindowResult) -> Tensor:
        checks = window_checks(result)
        self._messages = list(checks)
        failed = tf.constant(-1)
        for number, valid in reversed(list(enumerate(checks.values()))):
            failed = tf.where(valid, failed, number)
        return failed


def _as_batch(windows: AnyBatch) -> AnyBatch:
    """Windows cut by `Batch.cut`, as if they were a whole batch."""
    if windows.reset is None or windows.resets_inside:
        return windows
    # In cut windows, these flags are the rows that start afresh.
    return windows._replace(reset=None, fresh=windows.reset)
