"""Where in a model a pass is: which of the leading axes are rows and timesteps."""

from __future__ import annotations

import collections
import contextlib
import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from bptt_keras.types import Tensor


class Note(NamedTuple):
    """A tensor that `Place.fits` was asked about.

    Fields:
        layer: The layer that it enters or leaves.
        shape: `tf.TensorShape`.
        dtype: `tf.DType`.
        fits: Whether its first axes match those of the flags.
        axis: The last axis of the flags.
    """

    layer: keras.Layer
    shape: tf.TensorShape
    dtype: tf.DType
    fits: bool
    axis: int


class Place:
    """What a layer needs to know about its place in one pass.

    Tensors have the axes `(batch, time, ...)`. Within `TimeDistributed` the first two
    are merged into one, `(batch * time, ...)`.

    Args:
        valid: Booleans `(batch, time)`, or `None`.
        known: Answers of `fits` outside `TimeDistributed`, by key, or `None`.

    Attributes:
        flags: The steps that count: booleans `(batch, time)` or, within
            `TimeDistributed`, `(batch * time,)`; `None` if all of them do.
        sizes: Within `TimeDistributed`, the sizes of the merged axes, integers if
            known; otherwise `None`.
        notes: `{key: Note}` of all tensors that `fits` was asked about.
        given_flags: How often each layer was given the flags, by id.
    """

    def __init__(self, valid: Tensor | None, known: dict[tuple, bool] | None = None):
        self.flags = valid
        self.sizes: list[Any] | None = None
        self.notes: dict[tuple, Note] = {}
        self.given_flags: collections.Counter[int] = collections.Counter()
        self._known = known
        self._asked: collections.Counter[tuple] = collections.Counter()

    @contextlib.contextmanager
    def merged(self, sizes: list[int | Tensor], flags: Tensor | None) -> Iterator[None]:
        """A context in which rows and timesteps are one axis.

        Args:
            sizes: `[rows, timesteps]` of the axes that are merged.
            flags: Value of the attribute `flags` within.
        """
        outer = self.flags, self.sizes
        self.flags, self.sizes = flags, [*(self.sizes or sizes[:1]), sizes[1]]
        try:
            yield
        finally:
            self.flags, self.sizes = outer

    @property
    def steps_a_row(self) -> int | Tensor:
        """Number of rows of the merged axis that come from one row of the batch."""
        return math.prod(self.sizes[1:]) if self.sizes else 1

    def fits(self, layer: keras.Layer, what: str, tensor: Tensor) -> bool:
        """Whether the first axes of a tensor match those of `flags`.

        A feature axis may happen to be as long as the sequence. So what two traces
        with different lengths have shown takes precedence over the shape.

        Args:
            layer: The layer that the tensor enters or leaves.
            what: `"inputs"` or `"outputs"`.
            tensor: The tensor.
        """
        key = (id(layer), what, self._asked[id(layer), what])
        self._asked[id(layer), what] += 1
        flags = tf.TensorShape([]) if self.flags is None else self.flags.shape
        rank = flags.rank
        fits = rank > 0 and flags.is_compatible_with(tensor.shape[:rank])
        axis = 0 if self.sizes else 1
        self.notes[key] = Note(layer, tensor.shape, tensor.dtype, fits, axis)
        if fits and self._known is not None and not self.sizes:
            return self._known.get(key, fits)
        return fits

    def unmerged(self, tensor: Tensor) -> Tensor | None:
        """A tensor with the merged axis as `(batch, time, others merged, ...)`.

        Returns:
            A tensor, or `None` if the first axis is not the merged one.
        """
        assert self.sizes is not None, "outside `merged` there is no merged axis"
        known = all(isinstance(size, int) for size in self.sizes)
        if tensor.shape[0] != (math.prod(self.sizes) if known else None):
            return None
        sizes = [*self.sizes[:2], math.prod(self.sizes[2:])]
        return tf.reshape(tensor, tf.stack([*sizes, *axes_of(tensor)[1:]]))


def axes_of(tensor: Tensor) -> list[int | Tensor]:
    """Sizes of the axes of a tensor, integers where known."""
    dynamic = tf.shape(tensor)
    return [dynamic[i] if n is None else n for i, n in enumerate(tensor.shape)]
