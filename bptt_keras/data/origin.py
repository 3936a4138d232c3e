"""What a pipeline of this package was made of, for those who save its position."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf

from bptt_keras.data.shuffling import Orders
from bptt_keras.tensorflow_internals import sources_of


class Passes:
    """Numbers the passes over a pipeline: 0, 1, 2, ...

    Attributes:
        next: The number of the next one.
    """

    def __init__(self) -> None:
        self.next = 0

    def dataset(self) -> tf.data.Dataset:
        """A dataset with one element, the number of its pass."""

        def number(_: np.ndarray) -> np.int64:
            self.next += 1
            return np.int64(self.next - 1)

        # TensorFlow saves no positions in pipelines with functions that have a state.
        # That of this one is saved by those who save the position.
        return tf.data.Dataset.range(1).map(
            lambda _: tf.ensure_shape(
                tf.numpy_function(number, [_], tf.int64, stateful=False), ()
            )
        )


class Origin:
    """The arrays that data come from, and what determines their order.

    Args:
        arrays: NumPy arrays.
        orders: `Orders`, or `None`: nothing is drawn.
        passes: `Passes`, or `None`: they are all alike.

    Attributes:
        arrays: List of them.
    """

    def __init__(
        self,
        arrays: Iterable[np.ndarray],
        orders: Orders | None,
        passes: Passes | None,
    ):
        self.arrays = list(arrays)
        self._orders = orders
        self._passes = passes

    def get_state(self) -> dict[str, Any]:
        """What determines the orders to come."""
        root = None if self._orders is None else self._orders.root
        return {
            "root": root,
            "passes": None if self._passes is None else self._passes.next,
        }

    def set_state(self, state: dict[str, Any]) -> None:
        """Draws the same orders as another pipeline of the same data.

        Args:
            state: What its `get_state` returned.
        """
        if self._orders is not None:
            self._orders.root = state["root"]
        if self._passes is not None:
            self._passes.next = state["passes"]


def with_origin(
    dataset: tf.data.Dataset,
    arrays: Iterable[Any],
    orders: Orders | None = None,
    passes: Passes | None = None,
) -> tf.data.Dataset:
    """The dataset, with an `Origin` that `origins` finds."""
    known = (array for array in arrays if array is not None)
    dataset.origin = Origin(known, orders, passes)
    return dataset


def origins(dataset: tf.data.Dataset) -> Iterator[Origin]:
    """The origins of a dataset, through `map`, `repeat`, `zip` and the like."""
    own = getattr(dataset, "origin", None)
    if isinstance(own, Origin):
        yield own
        return
    for source in sources_of(dataset):
        yield from origins(source)
