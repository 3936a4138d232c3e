"""`carried_state`: what the state that a batch inherits is worth."""

import itertools

import numpy as np
import tensorflow as tf

from bptt_keras.diagnostics.data import plain, tensors
from bptt_keras.diagnostics.problem import Problem
from bptt_keras.training.parts import split_inputs
from bptt_keras.truncation.arguments import whole


def carried_state(model, batches, *, loss=None, steps=20, borders=20):
    """Whether the state that is carried from batch to batch helps, on real data.

    At each border of two batches the model runs over the first timesteps of the second
    one twice: from the state that the first one ends in, and from the initial state.
    Rows that a batch flags with `reset` at the border inherit nothing and are left
    out. The model runs as in inference; nothing of it changes.

    Args:
        model: A `TruncatedBPTT` or another built `keras.Model` that `PureStep` takes,
            with one output at each timestep.
        batches: `tf.data.Dataset` or list of `(x, y)`, in the order of training, with
            as many rows each; x is what the model takes, or `{"inputs": ..., "reset":
            (rows,)}`.
        loss: Loss of one timestep, as for `compile`. Default (`None`): the one that
            `model` was compiled with.
        steps: Timesteps after a border that are looked at, an integer >= 1.
        borders: Borders that are looked at, at most, an integer >= 1.

    Returns:
        `CarriedState`.

    Raises:
        TypeError: If `model` or an argument is of the wrong type.
        ValueError: If there are fewer than two batches, rows differ in number, every
            row is reset at every border, rows continue by `key`, data are padded, or
            the model has no output at each timestep.

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
    problem, first = None, True
    carried, fresh, continues = [], [], True
    for batch in itertools.islice(batches, borders + 1):
        x, y = _pair(batch)
        if problem is None:
            problem = Problem(
                model, (x, y), loss, steps=steps, asked_by="carried_state"
            )
            _check_timed(problem)
            run = tf.function(problem.step, autograph=False)
            state = initial = problem.step.initial_state(problem.rows)
        parts, inputs = split_inputs(x), tensors(plain(x))
        rows = tf.nest.flatten(inputs)[0].shape[0]
        if rows != problem.rows:
            raise ValueError(
                f"All batches must have as many rows. Received: {problem.rows} and "
                f"{rows}."
            )
        reset = _flags(parts.reset, rows)
        if not first:
            continues = continues and parts.continues
            start = tf.nest.map_structure(lambda a: a[:, :steps], inputs)
            inside = reset if reset.shape.rank == 1 else reset[:, :steps]
            targets = tensors(y)[:, :steps]
            kept = ~(inside.numpy() if inside.shape.rank == 1 else inside.numpy()[:, 0])
            for losses, before in ((carried, state), (fresh, initial)):
                outputs, _ = run(start, before, reset=inside)
                losses.append(problem.losses(targets, outputs).numpy()[kept])
        _, state = run(inputs, state, reset=reset)
        first = False
    if not carried:
        raise ValueError("`batches` must be two at least, or there is no border.")
    shortest = min(part.shape[1] for part in carried)
    carried, fresh = (
        np.concatenate([part[:, :shortest] for part in parts])
        for parts in (carried, fresh)
    )
    if not len(carried):
        raise ValueError("Every row is reset at every border: no state is carried.")
    return CarriedState(carried, fresh, continues)


class CarriedState:
    """Losses after a border of two batches, with the state carried and without.

    Args:
        carried: Losses from the carried state, `(samples, timesteps)`: a sample is a
            row at a border.
        fresh: The same from the initial state.
        continues: Whether the trainer carries the state over these borders: batches
            with `reset` or `key`. Default: True.

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

    def __init__(self, carried, fresh, continues=True):
        self.carried = np.asarray(carried, float)
        self.fresh = np.asarray(fresh, float)
        self.continues = bool(continues)

    @property
    def gain(self):
        """Loss from the initial state less that from the carried one: the mean."""
        return float((self.fresh - self.carried).mean())

    @property
    def certain(self):
        """Whether the gain is beyond three standard errors of its mean over samples."""
        gains = (self.fresh - self.carried).mean(axis=1)
        error = gains.std(ddof=1) / np.sqrt(len(gains)) if len(gains) > 1 else np.inf
        return bool(abs(gains.mean()) > 3 * error)

    def verdict(self):
        """What it means, in words: a few sentences."""
        steps = self.carried.shape[1]
        losses = (
            f"over the first {steps} timesteps of a batch the loss is "
            f"{self.carried.mean():.4g} with it and {self.fresh.mean():.4g} from the "
            "initial state"
        )
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

    def __str__(self):
        return self.verdict()


def _check_timed(problem):
    if not problem.timed:
        raise ValueError(
            "`carried_state` takes models with a loss at each timestep. Received: a "
            "model whose output has no time axis."
        )


def _pair(batch):
    """Inputs and targets of a batch."""
    if not isinstance(batch, tuple | list) or len(batch) < 2 or batch[1] is None:
        raise ValueError("`batches` must yield `(x, y)`. Received: x without y.")
    if split_inputs(batch[0]).key is not None:
        raise ValueError(
            "`carried_state` takes rows that continue row by row. Received: batches "
            "with `key`."
        )
    return batch[0], batch[1]


def _flags(reset, rows):
    """`reset` as booleans, `(rows,)` or `(rows, time)`."""
    return tf.zeros(rows, tf.bool) if reset is None else tf.cast(reset, tf.bool)
