"""The forward pass of a recurrence, without saving anything for a backward pass."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from bptt_keras.kernels.fused.feature_major import wide
from bptt_keras.kernels.time_major import clear, hold, scan
from bptt_keras.tensorflow_internals import unrecorded
from bptt_keras.types import Tensor


def forward(
    step: Callable[[Tensor, Tensor, tuple[Tensor, ...]], tuple[Tensor, ...]],
    x: Tensor,
    states: tuple[Tensor, ...],
    kernel: Tensor,
    recurrent_kernel: Tensor,
    bias: Tensor,
    *,
    mask: Tensor | None = None,
    reset: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Run a recurrence along time.

        p_t = x_t W + b;   m_t = h_{t-1} U
        h_t, ... = step(p_t, m_t, (h_{t-1}, ...))

    All p are computed in one product, before the loop. A row that `reset` flags at
    step t takes zeros for its states before the step. A row that `mask` switches off at
    step t keeps its states.

    Args:
        step: The function above; it gets at least float32 and returns a tuple.
        x: `(time, batch, features)` floats.
        states: Tuple of `(batch, units)`, the states before the first step; the first
            one is h.
        kernel: `(features, width)`, W.
        recurrent_kernel: `(units, width)`, U.
        bias: `(width,)`, b.
        mask: `(time, batch)` booleans, False where a row has no input, or None.
        reset: `(time, batch)` booleans, True where a row starts afresh, or None.

    Returns:
        `(h_seq, *states)` of shapes `(time, batch, units)` and `(batch, units)`, in the
        dtype of `x`.
    """
    dtype = x.dtype
    if mask is not None:
        # A masked step may contain NaN, which would not stay in its row.
        x = tf.where(mask[..., None], x, tf.zeros([], dtype))
    p = tf.tensordot(x, kernel, 1) + bias

    def at_t(
        states: tuple[Tensor, ...], sequences: tuple[Tensor | None, ...]
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor]]:
        p, keep, fresh = sequences
        h, *others = (clear(fresh, s) for s in states)
        m = tf.matmul(h, recurrent_kernel)
        new, *rest = step(wide(p), wide(m), (wide(h), *others))
        pairs = zip((tf.cast(new, dtype), *rest), (h, *others), strict=True)
        # The number of rows may be known for one tensor and not for another.
        after = tuple(
            tf.ensure_shape(hold(keep, new, old), old.shape) for new, old in pairs
        )
        return after, (after[0],)

    # The next product reads h; other states add up over the steps and stay wide.
    h, *others = states
    carry = h, *map(wide, others)
    with unrecorded():
        last, (h_seq,) = scan(at_t, (p, mask, reset), carry, widths=(h.shape[-1],))
    return h_seq, *(tf.cast(s, dtype) for s in last)
