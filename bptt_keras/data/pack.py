"""Packs sequences of different lengths back to back into streams."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from bptt_keras.arguments import whole
from bptt_keras.data.balance import balanced, redrawn
from bptt_keras.data.origin import Passes, with_origin
from bptt_keras.data.sequences import Sequences
from bptt_keras.data.shuffling import shuffling
from bptt_keras.types import Tensor


def pack(
    sequences: Any,
    *,
    batch_size: int,
    window: int,
    targets: Any = "next",
    shuffle: bool = True,
    seed: int | None = None,
) -> tf.data.Dataset:
    """Batches of windows cut from `batch_size` streams of sequences back to back.

    Padding each sequence to the longest wastes much computation when lengths differ.
    Here sequences are packed back to back, and a flag at the first timestep of each
    resets the state, even within a window:

        row 0    a a a a b | b b c c c | ...        reset  1 0 0 0 1 | 0 0 1 0 0 | ...
        row 1    d d e e e | e e e e f | ...               1 0 1 0 0 | 0 0 0 0 1 | ...

    The sequences are spread so that the streams have equal or nearly equal lengths;
    then the order is drawn. Only the ends of the streams are padded, up to the end of
    the last window of the longest one, and padding is marked invalid. So all batches
    have one shape, which XLA compiles once, and padding costs less than one batch per
    pass, apart from the differences in length between the streams:

        fill_rate = valid timesteps / (batches * batch_size * window)

    One pass over the dataset is one epoch, and every pass has the same number of
    batches. For predictions in the order of the sequences, use `RaggedBatches`.

    Args:
        sequences: The sequences, of any lengths: a `tf.RaggedTensor` `(n, None, ...)`,
            or an iterable of arrays `(time,)` or `(time, ...)`, of lists of numbers, or
            of dicts or tuples of arrays of equal length. They are kept as given,
            memory maps included, and copied window by window.
        batch_size: Number of streams, an integer from 1 to the number of sequences.
        window: Timesteps in a batch, an integer >= 1: the `window` of the trainer, or a
            multiple of it.
        targets: `"next"` (default): the timestep that follows in the same sequence, so
            that `n` timesteps make `n - 1` pairs of input and target; `None`: no
            targets; or an iterable like `sequences` with one target per timestep.
        shuffle: Whether each pass draws a new order (default). Otherwise every pass
            has the same order, and each stream keeps its sequences in the order given.
        seed: Integer >= 0 that fixes the orders of the first, second, ... pass. Default
            (`None`): `keras.utils.set_random_seed` fixes them.

    Returns:
        `tf.data.Dataset`, prefetched and of known length, of `(x, y)`, or of `(x,)`
        without targets. `x` is a dict of `inputs` `(batch_size, window, ...)`, `reset`
        `(batch_size, window)` booleans, `position` `(batch_size,)`, the position of the
        first timestep in its stream, and, if there is any padding, `mask` `(batch_size,
        window)` booleans, False where padded. `y` is `(batch_size, window, ...)`. `x`
        and `y` have the structure of one sequence, floats are `keras.config.floatx()`,
        padding is 0.

        Its attribute `fill_rate`, between 0 and 1, is the same for every pass. A
        dataset derived from it, with `.map` for instance, lacks this attribute.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If a number is less than 1, there are fewer sequences than streams,
            a sequence is empty, or has a single timestep with `targets="next"` (there
            is nothing to learn from it), or holds NaN; or if dtypes, widths,
            structures or targets do not match. The message names the sequence.

    Example:
        import numpy as np, bptt_keras as bk

        words = [[1, 2, 3, 4], [5, 6, 7], [8, 9]]
        dataset = bk.data.pack(words, batch_size=2, window=3, shuffle=False)
        (x, y), = dataset
        assert x["inputs"].numpy().tolist() == [[1, 2, 3], [5, 6, 8]]
        assert y.numpy().tolist() == [[2, 3, 4], [6, 7, 9]]
        assert x["reset"].numpy().tolist() == [[1, 0, 0], [1, 0, 1]]
        assert dataset.fill_rate == 1.0
    """
    batch_size = whole("batch_size", batch_size, unit=None)
    window = whole("window", window, unit=None)
    orders = shuffling(shuffle, seed)
    sequences = Sequences(sequences)
    follows = isinstance(targets, str)
    targets = _targets(targets, sequences)
    if len(sequences) < batch_size:
        raise ValueError(
            f"Each of the `batch_size` streams needs a sequence of its own. Received: "
            f"batch_size={batch_size} for {len(sequences)} sequences. Use fewer."
        )
    steps = sequences.lengths - follows
    streams = balanced(steps, batch_size, window)
    count = -(-max(int(steps[stream].sum()) for stream in streams) // window)
    valid, places = int(steps.sum()), batch_size * count * window
    reader = _Reader(
        sequences, targets, steps=steps, window=window, masked=valid < places
    )

    numbers = Passes()

    def drawn(number: int) -> list[np.ndarray]:
        if orders is None:
            return streams
        return redrawn(streams, steps, orders.generator(number))

    cut = reader.cutting(drawn)

    def one_pass(number: Tensor) -> tf.data.Dataset:
        def batch(index: Tensor) -> Any:
            flat = tf.numpy_function(
                cut, [number, index], [s.dtype for s in specs], stateful=False
            )
            for tensor, of_tensor in zip(flat, specs, strict=True):
                tensor.set_shape(of_tensor.shape)
            return tf.nest.pack_sequence_as(spec, flat)

        return tf.data.Dataset.range(count).map(batch)

    spec = reader.spec(batch_size)
    specs = tf.nest.flatten(spec)
    dataset = numbers.dataset().flat_map(one_pass)
    dataset = dataset.apply(tf.data.experimental.assert_cardinality(count))
    options = tf.data.Options()
    # As in `streams`: TensorFlow's tuner would hold up the end of an epoch.
    options.autotune.enabled = False
    dataset = dataset.prefetch(2).with_options(options)
    dataset.fill_rate = valid / places
    columns = [sequences, *([] if targets in (None, sequences) else [targets])]
    arrays = itertools.chain(*(column for kind in columns for column in kind.columns))
    return with_origin(dataset, arrays, orders, numbers)


class _Reader:
    """Cuts streams of sequences into windows."""

    def __init__(
        self,
        sequences: Sequences,
        targets: Sequences | None,
        *,
        steps: np.ndarray,
        window: int,
        masked: bool,
    ):
        self._sequences = sequences
        self._targets = targets
        self._steps = steps
        # `targets="next"`: the targets are the sequences, one timestep later.
        self._shift = int(targets is sequences)
        self._window = window
        self._masked = masked

    def spec(self, rows: int) -> tuple[Any, ...]:
        grid = (rows, self._window)
        x = {
            "inputs": self._sequences.spec(*grid),
            "reset": tf.TensorSpec(grid, tf.bool),
            "position": tf.TensorSpec((rows,), tf.int64),
        }
        if self._masked:
            x["mask"] = tf.TensorSpec(grid, tf.bool)
        return (x,) if self._targets is None else (x, self._targets.spec(*grid))

    def cutting(
        self, drawn: Callable[[Any], list[np.ndarray]]
    ) -> Callable[[Any, Any], list[np.ndarray]]:
        """A function of a pass's number and a batch's index to the batch, flat.

        Args:
            drawn: Function of that number: the sequences of each stream.
        """
        # Two passes at a time: the iterator of an old one may still read ahead.
        pieces_of = functools.lru_cache(2)(
            lambda seed: [self._pieces(stream) for stream in drawn(seed)]
        )

        def cut(seed: Any, index: Any) -> list[np.ndarray]:
            return tf.nest.flatten(self._batch(pieces_of(int(seed)), int(index)))

        return cut

    def _batch(self, streams: list[_Pieces], index: int) -> tuple[Any, ...]:
        grid = len(streams), self._window
        inputs = self._sequences.zeros(*grid)
        targets = [] if self._targets is None else self._targets.zeros(*grid)
        reset, mask = np.zeros((2, *grid), bool)
        for row, pieces in enumerate(streams):
            for place, piece, start, stop in pieces.within(index, self._window):
                span = slice(place, place + stop - start)
                mask[row, span] = True
                reset[row, place] = start == 0
                _copy(self._sequences, piece, start, stop, inputs, row, span)
                if self._targets is not None:
                    shifted = start + self._shift, stop + self._shift
                    _copy(self._targets, piece, *shifted, targets, row, span)
        x = {
            "inputs": self._sequences.packed(inputs),
            "reset": reset,
            "position": np.full(grid[0], index * self._window, np.int64),
        }
        if self._masked:
            x["mask"] = mask
        beside = [] if self._targets is None else [self._targets.packed(targets)]
        return (x, *beside)

    def _pieces(self, stream: np.ndarray) -> _Pieces:
        ends = np.cumsum(self._steps[stream])
        return _Pieces(stream, ends - self._steps[stream], ends)


class _Pieces(NamedTuple):
    """The sequences of a stream, and the timesteps of the stream where they lie.

    Fields:
        sequences: Numbers of the sequences, `(n,)`.
        starts: The first timestep of each, `(n,)`.
        ends: The timestep after its last, `(n,)`.
    """

    sequences: np.ndarray
    starts: np.ndarray
    ends: np.ndarray

    def within(self, index: int, window: int) -> Iterator[tuple[int, int, int, int]]:
        """The pieces of a window: `(place in it, sequence, start, stop)`."""
        first, last = index * window, (index + 1) * window
        begin = int(np.searchsorted(self.ends, first, side="right"))
        end = int(np.searchsorted(self.starts, last, side="left"))
        for number in range(begin, end):
            offset = int(self.starts[number])
            start = max(first, offset)
            stop = min(last, int(self.ends[number]))
            piece = int(self.sequences[number])
            yield start - first, piece, start - offset, stop - offset


def _copy(
    source: Sequences,
    index: int,
    start: int,
    stop: int,
    leaves: Sequence[np.ndarray],
    row: int,
    span: slice,
) -> None:
    for column, leaf in zip(source.columns, leaves, strict=True):
        leaf[row, span] = column[index][start:stop]


def _targets(targets: Any, sequences: Sequences) -> Sequences | None:
    if targets is None:
        return None
    if not isinstance(targets, str):
        targets = Sequences(targets, "targets")
        targets.require_lengths_of(sequences)
        return targets
    if targets != "next":
        raise ValueError(
            f"`targets` must be 'next', None or a list of arrays. Received: "
            f"targets={targets!r}."
        )
    (single,) = np.nonzero(sequences.lengths == 1)
    if len(single):
        raise ValueError(
            f"With `targets='next'` each sequence needs at least 2 timesteps, or there "
            f"is nothing to predict. Received: {len(single)} with a single one, the "
            f"first is number {single[0]}. Leave them out: [s for s in sequences if "
            f"len(s) > 1]."
        )
    return sequences
