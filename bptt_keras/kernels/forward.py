"""A recurrence run forwards alone: nothing is kept for a way back."""

import tensorflow as tf

from bptt_keras.kernels.feature_major import wide
from bptt_keras.kernels.scan import clear_rows, hold_rows, scan
from bptt_keras.tensorflow_internals import unrecorded


def forward(step, x, states, kernel, recurrent_kernel, bias, *, mask=None, reset=None):
    """Run a recurrence along time.

        p_t = x_t W + b;   m_t = h_{t-1} U
        h_t, ... = step(p_t, m_t, (h_{t-1}, ...))

    All p are one product, before the loop. A row that `reset` flags at step t takes
    zeros for its states before the step. A row that `mask` switches off at step t keeps
    its states.

    Args:
        step: The function above; it gets float32 at least, and returns a tuple.
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
        # What stands in a masked step may be NaN, and need not stay in its row.
        x = tf.where(mask[..., None], x, tf.zeros([], dtype))
    p = tf.tensordot(x, kernel, 1) + bias

    def at_t(states, sequences):
        p, keep, fresh = sequences
        h, *others = (clear_rows(fresh, s) for s in states)
        m = tf.matmul(h, recurrent_kernel)
        new, *rest = step(wide(p), wide(m), (wide(h), *others))
        pairs = zip((tf.cast(new, dtype), *rest), (h, *others), strict=True)
        # The number of rows may be known to one tensor and not to another.
        after = tuple(
            tf.ensure_shape(hold_rows(keep, new, old), old.shape) for new, old in pairs
        )
        return after, (after[0],)

    # h is what the next product reads; what else is carried adds up over the steps.
    h, *others = states
    carry = h, *map(wide, others)
    with unrecorded():
        last, (h_seq,) = scan(at_t, (p, mask, reset), carry, widths=(h.shape[-1],))
    return h_seq, *(tf.cast(s, dtype) for s in last)
