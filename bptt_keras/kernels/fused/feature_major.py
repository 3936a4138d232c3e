"""The loop over time of a fused recurrence, with the batch as the last axis.

A step is one product `weights (m, n) @ values (n, batch)` and arithmetic on the result.
In this order XLA's products run faster on a CPU than as `values @ weights`, and the
arithmetic runs along flat vectors of `features * batch` numbers, feature by feature,
which XLA turns into vector instructions.

`time_major` has the same functions, with the same names, for rows of features.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from bptt_keras.tensorflow_internals import compiled_by_xla, unrecorded, updated_slice
from bptt_keras.types import Structure, Tensor


def swap_to_front(x: Tensor, mask: Tensor | None = None) -> Tensor:
    """`(time, batch, features)` as `(features, time, batch)`, zeros where masked."""
    if mask is not None:
        # A masked step may contain NaN, and 0 * NaN would spoil gradients.
        x = tf.where(mask[..., None], x, tf.zeros([], x.dtype))
    return tf.transpose(x, (2, 0, 1))


def swap_to_back(x: Tensor) -> Tensor:
    """`(features, time, batch)` as `(time, batch, features)`."""
    return tf.transpose(x, (1, 2, 0))


def flat(x: Tensor) -> Tensor:
    """`(batch, features)` as a vector, feature by feature."""
    return tf.reshape(tf.transpose(x), [-1])


def rows(vector: Tensor, features: int) -> Tensor:
    """A vector, feature by feature, as `(batch, features)`."""
    return tf.transpose(tf.reshape(vector, (features, -1)))


def wide(x: Tensor) -> Tensor:
    """The tensor in at least float32: sums over steps lose too much in 16 bits."""
    return tf.cast(x, tf.float32) if x.dtype.size < 4 else x


def spread(bias: Tensor, batch: Tensor) -> Tensor:
    """A bias `(n,)` as a vector for a whole batch, feature by feature.

    The bias is not a column of the weights for a row of ones, because products with an
    odd inner size take up to a quarter longer.
    """
    return tf.repeat(bias, batch)


def previous(sequence: Tensor, first: Tensor, reset: Tensor | None) -> Tensor:
    """The state before each step: `sequence` delayed by one step, after resets.

    Args:
        sequence: `(units, time, batch)`.
        first: `(batch, units)`, the state before the first step.
        reset: `(time, batch)` booleans, or None.
    """
    late = tf.concat([tf.transpose(first)[:, None], sequence[:, :-1]], axis=1)
    return late if reset is None else tf.where(reset, tf.zeros_like(late), late)


def weight_gradient(inputs: Tensor, d_outputs: Tensor) -> Tensor:
    """The sum over steps and rows of `inputs d_outputs^T`, in one product.

    Summed inside the loop, it would cost about as much as the rest of the backward
    pass.

    Args:
        inputs: `(m, time, batch)`.
        d_outputs: `(n, time, batch)`.

    Returns:
        `(m, n)`.
    """
    a, b = (tf.reshape(x, (x.shape[0], -1)) for x in (inputs, d_outputs))
    return tf.matmul(a, b, transpose_b=True)


def product(weights: Tensor, vector: Tensor) -> Tensor:
    """`weights @ values`, with values and result as vectors, feature by feature."""
    values = tf.reshape(vector, (weights.shape[1], -1))
    return tf.reshape(tf.matmul(weights, values), [-1])


def cut(vector: Tensor, *features: int) -> list[Tensor]:
    """Splits a vector into pieces with the given proportions of features."""
    length = _size(vector) // sum(features)
    return tf.split(vector, [n * length for n in features], num=len(features))


def clear(reset: Tensor | None, vector: Tensor) -> Tensor:
    """Set the rows that `reset` `(batch,)` flags to zeros; None flags no row.

    `where` instead of a product, so that rows with NaN are clean afterwards.
    """
    if reset is None:
        return vector
    return tf.where(_along(reset, vector), tf.zeros([], vector.dtype), vector)


def hold(mask: Tensor | None, new: Tensor, old: Tensor) -> Tensor:
    """Take `new` where `mask` is True and `old` elsewhere; None takes all of `new`.

    Args:
        mask: `(batch,)` booleans, or None.
        new: vector.
        old: vector, or a scalar.
    """
    return new if mask is None else tf.where(_along(mask, new), new, old)


def join(parts: Sequence[Tensor], place: Tensor) -> Tensor:
    """Joins vectors into one, computing each element only once.

    Args:
        parts: vectors.
        place: vector of their total length: a loop variable that XLA may overwrite.

    Returns:
        The vector, which is `place` in the next iteration.
    """
    if not compiled_by_xla():
        return tf.concat(parts, axis=0)
    # Every reader of a concatenation would recompute it, branch by branch.
    start = tf.constant(0)
    for part in parts:
        place = updated_slice(place, part, [start])
        start += _size(part)
    return place


def scan(
    step: Callable[[Structure, tuple], tuple[Structure, tuple]],
    sequences: Sequence[Any],
    carry: Structure,
    *,
    widths: Sequence[int],
    reverse: bool = False,
) -> tuple[Structure, tuple[Tensor, ...]]:
    """Apply `step` along time and stack what it returns.

        carry, (a_t, b_t, ...) = step(carry, (x_t, y_t, ...))

    The loop itself is not meant to be differentiated: kernels call it inside
    `tf.custom_gradient`.

    Args:
        step: the function above. From a sequence `(features, time, batch)` or
            `(time, features * batch)` it gets a vector; from booleans `(time, batch)`,
            the flags of the step.
        sequences: tuple of such tensors; an entry may be None and then reaches `step`
            as None. The first one is `(features, time, batch)`.
        carry: structure of tensors that one step passes to the next.
        widths: number of features of each output, which is a vector.
        reverse: run from the last step to the first.

    Returns:
        `(carry, outputs)`: the last carry, and a tuple of sequences `(features, time,
        batch)`, or `(time, features * batch)` for a width given as `Kept(features)`;
        all in the order of time, in whichever direction the loop ran.
    """
    sequences = [None if s is None else tf.convert_to_tensor(s) for s in sequences]
    first = sequences[0]
    _, length, batch = (n or tf.shape(first)[i] for i, n in enumerate(first.shape))
    stores = tuple(_Store(w, length, batch, first.dtype) for w in widths)

    def at(t: Tensor) -> list[Tensor]:
        return [_slice(s, t) for s in sequences if s is not None]

    def body(
        count: Tensor, slices: list[Tensor], carry: Structure, arrays: tuple
    ) -> tuple:
        t = length - 1 - count if reverse else count
        present = iter(slices)
        at_t = tuple(None if s is None else next(present) for s in sequences)
        new, values = step(carry, at_t)
        # The number of rows may be known for one tensor and not for another.
        new = tf.nest.map_structure(
            lambda n, o: tf.ensure_shape(n, o.shape), new, carry
        )
        # Read one step ahead: XLA would put a read of this step into each of the
        # kernels that use it, together with all that is computed from it.
        ahead = tf.maximum(t - 1, 0) if reverse else tf.minimum(t + 1, length - 1)
        arrays = tuple(
            store.write(array, t, value)
            for store, array, value in zip(stores, arrays, values, strict=True)
        )
        return count + 1, at(ahead), new, arrays

    start = (0, at(length - 1 if reverse else 0), carry, tuple(s.new() for s in stores))
    with unrecorded():
        _, _, carry, arrays = tf.while_loop(
            lambda count, *_: count < length, body, start, maximum_iterations=length
        )
    done = tuple(s.read(a) for s, a in zip(stores, arrays, strict=True))
    return carry, done


class Kept(int):
    """Number of features of an output that only the backward pass reads, per step."""


class _Store:
    """Stores the vectors of all steps."""

    def __init__(
        self,
        features: int,
        length: int | Tensor,
        batch: int | Tensor,
        dtype: tf.DType,
    ):
        self._kept = isinstance(features, Kept)
        self._shape = (features, length, batch)
        self._dtype = dtype
        # In the layout for products over all steps. Only XLA writes into the middle of
        # an array without copying it.
        self._in_place = not self._kept and compiled_by_xla()

    def new(self) -> Tensor | tf.TensorArray:
        features, length, batch = self._shape
        if self._in_place:
            return tf.zeros(tf.stack(self._shape), self._dtype)
        known = isinstance(batch, int)
        return tf.TensorArray(
            self._dtype,
            size=length,
            element_shape=[features * batch if known else None],
        )

    def write(
        self, array: Tensor | tf.TensorArray, t: Tensor, vector: Tensor
    ) -> Tensor | tf.TensorArray:
        if not self._in_place:
            return array.write(t, vector)
        features, _, batch = self._shape
        column = tf.reshape(vector, tf.stack([features, 1, batch]))
        return updated_slice(array, column, [0, t, 0])

    def read(self, array: Tensor | tf.TensorArray) -> Tensor:
        if self._in_place:
            return array
        features, length, batch = self._shape
        steps = array.stack()
        if self._kept:
            return steps
        steps = tf.reshape(steps, tf.stack([length, features, batch]))
        return tf.transpose(steps, (1, 0, 2))


def _slice(sequence: Tensor, t: Tensor) -> Tensor:
    if sequence.shape.rank == 3:
        return tf.reshape(sequence[:, t], [-1])
    return sequence[t]


def _along(flags: Tensor, vector: Tensor) -> Tensor:
    """Flags of rows for each element of a vector, feature by feature."""
    return tf.tile(flags, [_size(vector) // _size(flags)])


def _size(vector: Tensor) -> int | Tensor:
    """The number of elements, an integer if known."""
    return vector.shape[0] or tf.size(vector)
