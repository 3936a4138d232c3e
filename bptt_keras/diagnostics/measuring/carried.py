"""`carried_state`: how much the state that a batch inherits improves the loss."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.arguments import whole
from bptt_keras.diagnostics.measuring.data import map_timed, tensors, timed_shape
from bptt_keras.diagnostics.measuring.problem import Problem
from bptt_keras.training.batches.parts import split_inputs
from bptt_keras.types import Structure, Tensor

# With fewer samples nothing is certain.
_ENOUGH = 8


def carried_state(
    model: keras.Model,
    batches: Iterable,
    *,
    loss: Any = None,
    steps: int = 20,
    borders: int = 20,
) -> CarriedState:
    """Measures whether the state carried from batch to batch helps, on real data.

    At each border between two batches the model runs over the first timesteps of the
    second batch twice: from the final state of the first batch, and from the initial
    state. Rows that a batch flags with `reset` at the border inherit nothing and are
    left out. The model runs in inference mode and is not changed.

    Args:
        model: A `TruncatedBPTT` or another built `keras.Model` that `PureStep` takes,
            with one output at each timestep.
        batches: `tf.data.Dataset` or list of `(x, y)`, in the order of training, all
            with the same number of rows; x is what the model takes, or `{"inputs": ...,
            "reset": (rows,)}`.
        loss: Loss of one timestep, as for `compile`. Default (`None`): the one that
            `model` was compiled with.
        steps: Timesteps to examine after a border, an integer >= 1.
        borders: Most borders to examine, an integer >= 1.

    Returns:
        `CarriedState`.

    Raises:
        TypeError: If `model` or an argument is of the wrong type.
        ValueError: If there are fewer than two batches, their numbers of rows differ,
            every row is reset at every border, batches have a `key`, the data are
            padded, or the model does not have an output at each timestep.

    Example:
        import keras, numpy as np, bptt_keras as bk

        model = keras.Sequential([
            keras.layers.Input((None, 1)),
            bk.layers.GRU(8, return_sequences=True),
            keras.layers.Dense(1),
        ])
        x = np.random.default_rng(0).normal(size=(400, 1)).astype("float32")
        stream = bk.data.streams(x, batch_size=2, window=20)
        worth = bk.diagnostics.carried_state(model, stream, loss="mse", steps=10)
        print(worth)                       # whether carrying the state helps, in words
    """
    steps = whole("steps", steps)
    borders = whole("borders", borders, unit="borders")
    if isinstance(batches, tuple) or not hasattr(batches, "__iter__"):
        raise TypeError(
            f"`batches` must be a tf.data.Dataset or a list of batches `(x, y)`, in "
            f"order. Received: {type(batches).__name__}."
        )
    seen, continues = None, True
    for batch in itertools.islice(batches, borders + 1):
        parts, y = _taken_apart(batch)
        if seen is None:
            data = (parts.inputs, y)
            problem = Problem(model, data, loss, steps=steps, asked_by="carried_state")
            seen = _Borders(problem, steps)
            seen.begin(problem.x, parts.reset)
        else:
            continues = continues and parts.continues
            seen.add(tensors(parts.inputs), tensors(y), parts.reset)
    if seen is None or not seen.carried:
        raise ValueError("`batches` must be two at least, or there is no border.")
    carried, fresh = np.concatenate(seen.carried), np.concatenate(seen.fresh)
    if not len(carried):
        raise ValueError("Every row is reset at every border: no state is carried.")
    return CarriedState(carried, fresh, continues)


class CarriedState:
    """Losses after a border between two batches, with and without the carried state.

    Args:
        carried: Losses from the carried state, `(samples, timesteps)`: a sample is a
            row at a border.
        fresh: The same from the initial state.
        continues: Whether the trainer carries the state over these borders, as it does
            for batches with `reset` or `key`. Default: True.

    Attributes:
        carried: Array.
        fresh: Array.
        continues: Boolean.

    Example:
        import numpy as np, bptt_keras as bk

        low, high = np.full((50, 5), 1.0), np.full((50, 5), 1.5)
        worth = bk.diagnostics.CarriedState(low, high)
        assert worth.gain == 0.5 and worth.certain
        assert worth.verdict().startswith("The carried state helps")
    """

    def __init__(
        self,
        carried: Sequence | np.ndarray,
        fresh: Sequence | np.ndarray,
        continues: bool = True,
    ):
        self.carried = np.asarray(carried, float)
        self.fresh = np.asarray(fresh, float)
        self.continues = bool(continues)

    @property
    def gain(self) -> float:
        """Mean loss from the initial state minus mean loss from the carried state."""
        return float((self.fresh - self.carried).mean())

    @property
    def certain(self) -> bool:
        """Whether the gain is statistically significant.

        Its absolute value must exceed three standard errors of the mean, over at least
        eight samples.
        """
        gains = (self.fresh - self.carried).mean(axis=1)
        if len(gains) < _ENOUGH:
            return False
        error = gains.std(ddof=1) / np.sqrt(len(gains))
        return bool(abs(gains.mean()) > 3 * error)

    def verdict(self) -> str:
        """Says what the losses mean, in a few sentences."""
        steps = self.carried.shape[1]
        losses = (
            f"over the first {steps} timesteps of a batch the loss is "
            f"{self.carried.mean():.4g} with it and {self.fresh.mean():.4g} from the "
            "initial state"
        )
        if len(self.carried) < _ENOUGH:
            return f"Too few rows and borders to tell ({len(self.carried)}): {losses}."
        if not self.certain:
            return (
                f"The carried state makes no difference beyond chance: {losses}. "
                "Either batches do not continue one another, or the model makes "
                "nothing of what came before."
            )
        if not self.continues:
            if self.gain < 0:
                return f"Batches start afresh, as they should: {losses}."
            return (
                f"Batches start afresh, but a carried state would help: {losses}. If "
                "they continue one another, give `reset`, as `bptt_keras.data.streams` "
                "does."
            )
        if self.gain > 0:
            return f"The carried state helps: {losses}."
        return (
            f"The carried state does harm: {losses}. It seems to come from another "
            "sequence: flag the start of each sequence with `reset`."
        )

    def __str__(self) -> str:
        return self.verdict()


class _Borders:
    """Goes from batch to batch and compares the losses after each border.

    Attributes:
        carried: List of losses `(rows that inherit, steps)`, one per border.
        fresh: The same from the initial state.
    """

    def __init__(self, problem: Problem, steps: int):
        if not problem.timed:
            raise ValueError(
                "`carried_state` takes models with a loss at each timestep. Received: "
                "a model whose output has no time axis."
            )
        self._problem = problem
        self._steps = min(steps, problem.length)
        self._run = tf.function(problem.step, autograph=False)
        self._initial = self._state = problem.step.initial_state(problem.rows)
        self.carried: list[np.ndarray] = []
        self.fresh: list[np.ndarray] = []

    def begin(self, x: Structure, reset: Tensor | None) -> None:
        """Adds the first batch."""
        self._advance(x, self._flags(reset))

    def add(self, x: Structure, y: Tensor, reset: Tensor | None) -> None:
        """Adds a batch that follows another."""
        problem, steps = self._problem, self._steps
        rows, length = timed_shape(problem.step.model, x)
        if rows != problem.rows:
            raise ValueError(
                f"All batches must have as many rows. Received: {problem.rows} and "
                f"{rows}."
            )
        problem.check_valid(x)
        reset = self._flags(reset)
        # The last batch of a stream may be shorter than the others.
        if length >= steps:
            start = map_timed(problem.step.model, lambda a: a[:, :steps], x)
            inherits = ~reset.numpy()[:, 0]
            for losses, state in (
                (self.carried, self._state),
                (self.fresh, self._initial),
            ):
                outputs, _ = self._run(start, state, reset=_cut(reset, steps))
                found = problem.losses(y[:, :steps], outputs).numpy()
                losses.append(found[inherits])
        self._advance(x, reset)

    def _advance(self, x: Structure, reset: Tensor) -> None:
        _, length = timed_shape(self._problem.step.model, x)
        _, self._state = self._run(x, self._state, reset=_cut(reset, length))

    def _flags(self, reset: Tensor | None) -> Tensor:
        """`reset` as booleans `(rows, time)`, or `(rows, 1)` for the border alone."""
        if reset is None:
            return tf.zeros((self._problem.rows, 1), tf.bool)
        reset = tf.cast(reset, tf.bool)
        return reset if reset.shape.rank == 2 else reset[:, None]


def _cut(reset: Tensor, length: int) -> Tensor:
    """Flags of the first timesteps: `(rows, length)`, or `(rows,)` for the border."""
    return reset[:, 0] if reset.shape[1] == 1 < length else reset[:, :length]


def _taken_apart(batch: Any) -> tuple[Any, Structure]:
    """The `Parts` of the inputs of a batch, and its targets."""
    if not isinstance(batch, tuple | list) or len(batch) < 2 or batch[1] is None:
        raise ValueError("`batches` must yield `(x, y)`. Received: x without y.")
    parts = split_inputs(batch[0])
    if parts.key is not None:
        raise ValueError(
            "`carried_state` takes rows that continue row by row. Received: batches "
            "with `key`."
        )
    if parts.mask is not None or parts.lengths is not None:
        raise ValueError(
            "`carried_state` takes timesteps that are all valid. Received: batches "
            "with `mask` or `lengths`."
        )
    return parts, batch[1]
