"""Timesteps that only warm up the state: those before the first loss of a batch."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from bptt_keras.training.assertions import require
from bptt_keras.training.batches.batch import Batch
from bptt_keras.training.programs.loop import before_last, each_window
from bptt_keras.training.programs.result import WindowResult
from bptt_keras.training.programs.window import Programs
from bptt_keras.training.windows.evaluation import run_forward
from bptt_keras.types import State, Structure, Tensor


class WarmUp:
    """Runs timesteps that have no loss, to obtain the state after them.

    Args:
        program: The program that runs a window, with or without dropout.
        programs: The `Programs` to which it belongs.
        size: Timesteps of a window, or `None`: all of a batch.
        burn_in: Timesteps at the start of a batch that have no loss.
    """

    def __init__(
        self,
        program: Callable[..., WindowResult],
        programs: Programs,
        *,
        size: int | None,
        burn_in: int,
    ):
        self._program = program
        self._programs = programs
        self._size = size
        self._burn_in = burn_in

    def __call__(self, batch: Batch, state: State) -> State:
        """The state after all timesteps of a batch.

        Args:
            batch: `Batch` without targets.
            state: Named state at its start.
        """

        def one(window: Batch, state: State) -> tuple[Structure, State]:
            return run_forward(self._program, self._programs, window, state)

        return each_window(batch, state, self._size, one)[1]

    def burn_in(self, batch: Batch, state: State) -> tuple[Batch, State]:
        """The batch without the timesteps of the burn-in, and the state after them.

        Args:
            batch: `Batch` whose targets have a time axis.
            state: Named state at its start.

        Raises:
            ValueError: If it leaves no timestep.
        """
        if self._burn_in == 0:
            return batch, state
        state = self.beyond_burn_in(batch, state)
        first = batch.without_targets().cut(0, self._burn_in)
        state = self(first, state)
        return batch.cut(self._burn_in, batch.length - self._burn_in), state

    def beyond_burn_in(self, batch: Batch, state: State) -> State:
        """The state, with a check that the burn-in leaves timesteps to train on.

        Args:
            batch: `Batch`.
            state: Named state.

        Raises:
            ValueError: If it is known to leave none.
        """
        steps = self._burn_in
        if steps == 0:
            return state
        message = (
            f"A batch must be longer than `burn_in`, or no timestep is left to learn "
            f"from. Received: burn_in={steps} and a batch of "
        )
        if isinstance(batch.length, int):
            if batch.length <= steps:
                raise ValueError(f"{message}{batch.length} timesteps.")
        else:
            check = require(batch.length > steps, message + "fewer timesteps.")
            with tf.control_dependencies([check]):
                state = tf.nest.map_structure(tf.identity, state)
        return state

    def before_last(self, batch: Batch, state: State) -> tuple[Batch, State]:
        """The last window of a batch, and the state from which it starts.

        Args:
            batch: `Batch` whose targets have no time axis.
            state: Named state at its start.
        """
        before, last = before_last(batch, _last_start(batch.length, self._size))
        return last, state if before is None else self(before, state)


def _last_start(length: int | Tensor, size: int | None) -> int | Tensor:
    """First timestep of the last window of a size (`None`: the whole batch)."""
    if size is None:
        return 0
    known = isinstance(length, int)
    return max(length - size, 0) if known else tf.maximum(length - size, 0)
