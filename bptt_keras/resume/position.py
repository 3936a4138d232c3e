"""The batches of a `fit`, and the position in them."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.data.origin import origins
from bptt_keras.data.ragged import RaggedBatches
from bptt_keras.resume.saves import digest_of
from bptt_keras.tensorflow_internals import (
    draws,
    has_global_seed,
    move_to,
    position_of,
    repeats,
    shuffles_unseeded,
    sources_of,
)

# How a position is taken up again: TensorFlow saves it with the iterator; a `PyDataset`
# is asked from another batch on; all batches before it are drawn once more.
SAVED, OFFSET, REPLAYED = "saved", "offset", "replayed"


class Following:
    """Iterates over a dataset pass by pass, and knows where it is.

    Args:
        dataset: What Keras made of the data.
        offset: The `Offset` that it reads, if it does.
        replayed: Whether it is known that the position cannot be saved.
    """

    def __init__(
        self, dataset: tf.data.Dataset, offset: Offset | None, *, replayed: bool
    ):
        self._dataset = dataset
        self._offset = offset
        self._draws = any(map(draws, _steps(dataset)))
        replayed |= repeats_drawn(dataset)
        self.way = OFFSET if offset is not None else REPLAYED if replayed else SAVED
        self.current: Pass | None = None
        self._drawn = b""
        # The pass that batches were taken from last: the current one may not have
        # begun.
        self._last: Pass | None = None

    def __iter__(self) -> Pass:
        self.current = Pass(self._begin, self.way, self._dataset.element_spec)
        return self.current

    def _begin(self, begun: Pass) -> tf.data.Iterator:
        self._last = begun
        if self._offset is not None:
            self._offset.start = begun.taken
        if self._drawn:
            move_to(iter(self._dataset), self._drawn)
            self._drawn = b""
        iterator = iter(self._dataset)
        if self.way == SAVED and self._draws:
            begun.start = position_of(iterator)
        return iterator

    def position(self) -> tuple[bytes, bytes]:
        """The position, for `restore`; empty if it is not saved."""
        if self.way != SAVED or self._last is None:
            return b"", b""
        return position_of(self._last.iterator()), self._last.start

    def why_not_saved(self) -> str | None:
        """`None`, or why the position has to be replayed, which is then done."""
        if self.way == SAVED and self._last is not None:
            try:
                self.position()
            except ValueError as error:
                self.way = REPLAYED
                return str(error)
        return None

    def restore(self, position: bytes, start: bytes) -> None:
        """Takes up a position once the batches before it have been passed over."""
        current = self.current
        if position and current is not None and current.taken:
            move_to(current.iterator(), position)
            current.start = start
        # How many orders have been drawn is part of a position only as long as the
        # pipeline has not read all of its data: the next pass needs another that is.
        self._drawn = start


class Pass:
    """One pass over the data; its iterator is made when a batch is needed.

    Attributes:
        element_spec: As in `tf.data.Iterator`.
        taken: Batches that were taken from it or passed over.
        start: Its position at the start, if orders are drawn.
    """

    def __init__(
        self, begin: Callable[[Pass], tf.data.Iterator], way: str, element_spec: Any
    ):
        self.element_spec = element_spec
        self._begin = begin
        self._way = way
        self._iterator: tf.data.Iterator | None = None
        self.taken = 0
        self.start = b""

    def __iter__(self) -> Pass:
        return self

    def __next__(self) -> Any:
        return next(self.iterator())

    def iterator(self) -> tf.data.Iterator:
        """The iterator of TensorFlow."""
        if self._iterator is None:
            self._iterator = self._begin(self)
        return self._iterator

    def pass_over(self, batches: int) -> None:
        """Passes over batches that were trained on before.

        Raises:
            StopIteration: If the data are drawn once more, and have ended.
        """
        if self._way == REPLAYED:
            for index in range(batches):
                try:
                    next(self.iterator())
                except StopIteration:
                    if index == 0:
                        raise
                    break
        self.taken += batches


class Offset(keras.utils.PyDataset):
    """A `PyDataset` that begins at another batch.

    Keras asks for all batches of an epoch in their order. Those after the last are
    asked for, but never trained on.

    Args:
        data: The `PyDataset`.

    Attributes:
        start: Number of the batch that is given as the first.
    """

    def __init__(self, data: Any):
        super().__init__(
            workers=data.workers,
            use_multiprocessing=data.use_multiprocessing,
            max_queue_size=data.max_queue_size,
        )
        self._data = data
        self.start = 0

    @property
    def num_batches(self) -> int | None:
        """As in Keras."""
        return self._data.num_batches

    def __len__(self) -> int:
        return len(self._data)

    def __getitem__(self, index: int) -> Any:
        count = self.num_batches
        index += self.start
        return self._data[index if count is None else index % count]

    def on_epoch_begin(self) -> None:
        """As in Keras."""
        self._data.on_epoch_begin()

    def on_epoch_end(self) -> None:
        """As in Keras."""
        self._data.on_epoch_end()


def offset_of(x: Any, shuffle: Any) -> Offset | None:
    """An `Offset` where batches can be asked for by number, else `None`.

    Args:
        x: As passed on to Keras.
        shuffle: Whether Keras shuffles the batches.
    """
    if not isinstance(x, keras.utils.PyDataset) or shuffle:
        return None
    # Keras' workers begin before it is known where.
    waits = x.workers > 1 or (x.workers > 0 and x.use_multiprocessing)
    return None if waits else Offset(x)


def is_replayed(x: Any) -> bool:
    """Whether data are known to come from Python, whose position cannot be saved."""
    return isinstance(x, keras.utils.PyDataset | types.GeneratorType)


def has_no_seed(x: Any, shuffle: Any) -> bool:
    """Whether data are shuffled in a way that nothing fixes."""
    if isinstance(x, tf.data.Dataset):
        return any(map(shuffles_unseeded, _steps(x)))
    arrays = not isinstance(x, keras.utils.PyDataset | types.GeneratorType)
    return bool(arrays and shuffle and not has_global_seed())


def _steps(dataset: tf.data.Dataset) -> Iterator[tf.data.Dataset]:
    """A dataset and all those that it was made from."""
    yield dataset
    for source in sources_of(dataset):
        yield from _steps(source)


def repeats_drawn(dataset: tf.data.Dataset) -> bool:
    """Whether a pipeline repeats what it has drawn, other than by `shuffle().repeat()`.

    As soon as another step has read all that was drawn, TensorFlow no longer saves how
    often that has happened.
    """
    return any(
        repeats(step)
        and not draws(sources_of(step)[0])
        and any(map(draws, _steps(step)))
        for step in _steps(dataset)
    )


def order_holders(x: Any) -> list[Any]:
    """Objects with `get_state` and `set_state` that determine the orders to come."""
    if isinstance(x, tf.data.Dataset):
        return list(origins(x))
    return [x] if hasattr(x, "get_state") and hasattr(x, "set_state") else []


def facts(x: Any, y: Any, sample_weight: Any) -> dict[str, Any]:
    """What identifies data, for JSON.

    Of arrays, `streams`, `pack` and lists of sequences the values, of other pipelines
    and `PyDataset` the shapes, dtypes and number of batches.
    """
    if isinstance(x, types.GeneratorType):
        return {"kind": "generator"}
    if isinstance(x, RaggedBatches):
        first = [np.asarray(a) for a in keras.tree.flatten(x[0][1:])]
        lengths = x.lengths
        return {
            "kind": "sequences",
            "sequences": len(lengths),
            "timesteps": int(lengths.sum()),
            "batches": len(x),
            "targets": [[a.dtype.name, *a.shape[2:]] for a in first],
            "digest": digest_of(x.arrays),
        }
    if isinstance(x, keras.utils.PyDataset):
        spec = keras.tree.map_structure(
            lambda a: str(np.asarray(a).dtype), tuple(x[0]) if x.num_batches else ()
        )
        kind = type(x).__name__
        return {"kind": kind, "batches": x.num_batches, "dtypes": str(spec)}
    if isinstance(x, tf.data.Dataset):
        arrays = [array for origin in origins(x) for array in origin.arrays]
        return {
            "kind": "dataset",
            "elements": str(x.element_spec),
            "batches": int(x.cardinality()),
            "digest": digest_of(arrays),
        }
    known = [a for a in keras.tree.flatten([x, y, sample_weight]) if a is not None]
    arrays = [np.asarray(a) for a in known]
    return {
        "kind": "arrays",
        "shapes": [[a.dtype.name, *a.shape] for a in arrays],
        "digest": digest_of(arrays),
    }
