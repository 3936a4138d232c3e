"""A linear recurrence, parallel in time, with a backward pass written by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from bptt_keras.kernels.derivatives import only_once
from bptt_keras.types import Structure, Tensor

# Steps in one block. Windows up to this length are processed once, step by step; longer
# ones twice, with all blocks in parallel.
_BLOCK = 128


def linear_scan(
    a: Tensor,
    b: Tensor,
    h_0: Tensor,
    *,
    mask: Tensor | None = None,
    reset: Tensor | None = None,
) -> Tensor:
    """Solve a linear recurrence along time, for each unit separately.

        h_t = a_t * h_{t-1} + b_t

    A row that `reset` flags at step t takes h_{t-1} = 0. A row that `mask` switches
    off at step t keeps h_t = h_{t-1}.

    Long sequences are cut into blocks of equal length. One pass over the steps of all
    blocks in parallel finds the map from the first h of each block to its last; a short
    pass from block to block then finds the first h of each block; and from there the
    recurrence runs in all blocks in parallel.

    Args:
        a: `(batch, time, units)`, floating-point or complex; or `(units,)`, the same
            at each step.
        b: `(batch, time, units)`, of the same dtype.
        h_0: `(batch, units)`, h before the first step.
        mask: `(batch, time)` booleans, False where a row has no input, or None.
        reset: `(batch, time)` booleans, True where a row starts afresh, or None.

    Returns:
        h of all steps, `(batch, time, units)`, differentiable with respect to the
        first three arguments.

    Example:

        from bptt_keras.kernels.linear_scan import linear_scan

        half = tf.fill((1, 3, 1), 0.5)
        h = linear_scan(half, tf.ones((1, 3, 1)), tf.zeros((1, 1)))
        assert h[0, :, 0].numpy().tolist() == [1.0, 1.5, 1.75]

    Source: blocks as in Blelloch, "Prefix Sums and Their Applications" (1990); the
    gradient of b is the same recurrence backwards, as in Martin & Cundy,
    "Parallelizing Linear Recurrent Neural Nets Over Sequence Length" (2018).
    """
    # With a variable, the gradient function would need a second signature.
    a, b, h_0 = (tf.convert_to_tensor(x) for x in (a, b, h_0))
    if mask is not None:
        b = tf.where(mask[..., None], b, tf.zeros_like(b))
    constant = a.shape.rank == 1
    flags = tuple(None if f is None else f[..., None] for f in (mask, reset))
    if not constant:
        # A constant is combined with flags at each step, without an array of copies.
        a, flags = _with_flags(a, *flags), (None, None)

    @tf.custom_gradient
    def recurrence(a, b, h_0):
        h_seq, _ = _scan(_forward, a, flags, b, h_0, reverse=False)

        def gradient(d_h_seq):
            d_h_T = tf.zeros_like(h_0)
            factors = tf.math.conj(a)
            d_b, d_h_0 = _scan(_backward, factors, flags, d_h_seq, d_h_T, reverse=True)
            h_prev = tf.concat([h_0[:, None], h_seq[:, :-1]], axis=1)
            d_a = d_b * tf.math.conj(h_prev)
            if constant:
                for flag, live in zip(flags, (True, False), strict=True):
                    if flag is not None:
                        d_a = tf.where(flag == live, d_a, tf.zeros_like(d_a))
                d_a = tf.reduce_sum(d_a, (0, 1))
            return only_once((d_a, d_b, d_h_0), (a, b, h_0))

        return h_seq, gradient

    return recurrence(a, b, h_0)


def _with_flags(a: Tensor, mask: Tensor | None, reset: Tensor | None) -> Tensor:
    """The factors, such that masked steps hold h and resets clear it."""
    if mask is not None:
        a = tf.where(mask, a, tf.ones_like(a))
    if reset is not None:
        a = tf.where(reset, tf.zeros_like(a), a)
    return a


def _forward(h_prev: Tensor, a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    h = _product(h_prev, a) + b
    return h, h


def _backward(d_h: Tensor, a: Tensor, d_h_out: Tensor) -> tuple[Tensor, Tensor]:
    """Takes the gradient of h_t from later steps, and returns that of h_{t-1}.

    The output is the total gradient of h_t, which is also the gradient of b_t.
    """
    d_b = d_h + d_h_out
    return _product(d_b, a), d_b


def _product(h: Tensor, a: Tensor) -> Tensor:
    """`h * a`: a factor of 0, from a reset, also clears an h that is NaN.

    `multiply_no_nan` is the same, but few runtimes have it.
    """
    return tf.where(a == 0, tf.zeros_like(h), h * a)


def _scan(
    step: Callable[..., tuple],
    a: Tensor,
    flags: tuple[Tensor | None, Tensor | None],
    x: Tensor,
    carry: Tensor,
    *,
    reverse: bool,
) -> tuple[Tensor, Tensor]:
    """Apply `carry, out = step(carry, a_t, x_t)`, linear in `carry` and `x_t`.

    The flags, mask and reset `(batch, time, 1)` or None, come with a constant `a`.

    Returns all `out` `(batch, time, units)` and the last carry.
    """
    batch, length, units = (x.shape[i] or tf.shape(x)[i] for i in range(3))
    blocks = (length + _BLOCK - 1) // _BLOCK
    size = (length + blocks - 1) // blocks
    padding = [[0, 0], [0, blocks * size - length], [0, 0]]

    def in_blocks(tensor):
        # Padded steps come last: their x is 0, and their outputs are cut off.
        shape = tf.stack([batch, blocks, size, tensor.shape[-1]])
        return tf.reshape(tf.pad(tensor, padding), shape)

    x = in_blocks(x)
    if a.shape.rank == 3:
        a = in_blocks(a)
    mask, reset = (None if flag is None else in_blocks(flag) for flag in flags)
    a = _Factors(a, (mask, reset))
    if isinstance(blocks, int) and blocks == 1:
        carries = carry[:, None]
    else:
        factors, sums = _totals(step, a, x, reverse)
        between = _Factors(factors, (None, None))
        carries, _ = _run(_forward, between, sums, carry, reverse, before=True)
    outputs, carries = _run(step, a, x, carries, reverse)
    outputs = tf.reshape(outputs, tf.stack([batch, blocks * size, units]))
    return outputs[:, :length], carries[:, 0 if reverse else -1]


class _Factors(NamedTuple):
    """Factors of all steps along the second to last axis, or one for all steps."""

    values: Any
    flags: Any

    def at(self, i: int | Tensor) -> Tensor:
        """The factors of step `i` in each block."""
        if self.values.shape.rank > 1:
            return self.values[..., i, :]
        mask, reset = (None if f is None else f[..., i, :] for f in self.flags)
        return _with_flags(self.values, mask, reset)


def _totals(
    step: Callable[..., tuple], a: _Factors, x: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    """The map of each block, `carry -> factor * carry + sum`: factors and sums."""

    def both(totals, a, x):
        factor, carry = totals
        return (factor * a, step(carry, a, x)[0]), None

    first = tf.zeros_like(x[:, :, 0])
    totals, _ = _loop(both, a, x, (tf.ones_like(first), first), reverse)
    return totals


def _run(
    step: Callable[..., tuple],
    a: _Factors,
    x: Tensor,
    carry: Tensor,
    reverse: bool,
    before: bool = False,
) -> tuple[Tensor, Tensor]:
    """Outputs, or the carries before each step, along the second to last axis."""

    def put_out(carry, a, x):
        new, out = step(carry, a, x)
        return new, carry if before else out

    carry, outputs = _loop(put_out, a, x, carry, reverse, writes=True)
    rank = x.shape.rank
    outputs = tf.transpose(outputs, [*range(1, rank - 1), 0, rank - 1])
    return outputs, carry


def _loop(
    step: Callable[..., tuple],
    a: _Factors,
    x: Tensor,
    carry: Structure,
    reverse: bool,
    writes: bool = False,
) -> tuple[Structure, Any]:
    axis = x.shape.rank - 2
    size = x.shape[axis] or tf.shape(x)[axis]
    if isinstance(size, int) and size == 1:
        carry, out = step(carry, a.at(0), x[..., 0, :])
        return carry, out[None] if writes else None
    shape = tf.nest.flatten(carry)[0].shape
    outputs = tf.TensorArray(x.dtype, size if writes else 0, element_shape=shape)

    def body(count, carry, outputs):
        i = size - 1 - count if reverse else count
        carry, out = step(carry, a.at(i), x[..., i, :])
        return count + 1, carry, outputs.write(i, out) if writes else outputs

    _, carry, outputs = tf.while_loop(
        lambda count, *_: count < size, body, (0, carry, outputs)
    )
    return carry, outputs.stack() if writes else None
