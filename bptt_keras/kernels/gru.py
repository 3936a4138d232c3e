"""The recurrence of a GRU, with a backward pass written by hand."""

import tensorflow as tf

from bptt_keras.kernels.scan import (
    clear_rows,
    hold_rows,
    only_once,
    previous,
    recurrent_gradient,
    scan,
)


def gru(x_proj, h_0, recurrent_kernel, recurrent_bias, *, mask=None, reset=None):
    """Run a GRU along time, given the projected inputs.

        m_t = h_{t-1} U + b_r,    x_proj_t and m_t split into parts z, r, g
        z = sigmoid(x_z + m_z);   r = sigmoid(x_r + m_r);   g = tanh(x_g + r * m_g)
        h_t = z * h_{t-1} + (1 - z) * g

    This is the form that Keras calls `reset_after=True`. A row that `reset` flags at
    step t takes h_{t-1} = 0. A row that `mask` switches off at step t keeps
    h_t = h_{t-1}.

    Args:
        x_proj: `(time, batch, 3 * units)` floats, `x W + b`, gates in the order
            z (update), r (reset), g (candidate).
        h_0: `(batch, units)`, the state before the first step.
        recurrent_kernel: `(units, 3 * units)`, U.
        recurrent_bias: `(3 * units,)`, b_r, or None for zeros.
        mask: `(time, batch)` booleans, False where a row has no input, or None.
        reset: `(time, batch)` booleans, True where a row starts afresh, or None.

    Returns:
        `(h_seq, h_T)` of shapes `(time, batch, units)` and `(batch, units)`, in the
        dtype of `x_proj`, differentiable with respect to the first four arguments.

    Example:

        from bptt_keras.kernels.gru import gru

        h_seq, h_T = gru(
            tf.zeros((7, 2, 9)), tf.zeros((2, 3)), tf.zeros((3, 9)), tf.zeros((9,))
        )

    Source: Cho et al. 2014, in the variant of cuDNN that applies the reset gate after
    the product. The gradient of U is one product over all steps.
    """
    if recurrent_bias is None:
        recurrent_bias = tf.zeros(recurrent_kernel.shape[-1:], x_proj.dtype)
    # A variable would ask the gradient function for a second signature.
    arguments = [
        tf.convert_to_tensor(a) for a in (x_proj, h_0, recurrent_kernel, recurrent_bias)
    ]

    @tf.custom_gradient
    def recurrence(x_proj, h_0, recurrent_kernel, recurrent_bias):
        h_T, (h_seq, gates) = _forward(
            x_proj, h_0, recurrent_kernel, recurrent_bias, mask, reset
        )

        def gradient(d_h_seq, d_h_T):
            h_prev = previous(h_seq, h_0, reset)
            d_x, d_m, d_h_0 = _backward(
                (d_h_seq, d_h_T), gates, h_prev, recurrent_kernel, mask, reset
            )
            d_kernel = recurrent_gradient(h_prev, d_m)
            d_bias = tf.reduce_sum(d_m, axis=(0, 1))
            return only_once((d_x, d_h_0, d_kernel, d_bias), arguments)

        return (h_seq, h_T), gradient

    return recurrence(*arguments)


def _forward(x_proj, h_0, recurrent_kernel, recurrent_bias, mask, reset):
    def step(h_prev, at_t):
        x, keep, fresh = at_t
        h_prev = clear_rows(fresh, h_prev)
        x_z, x_r, x_g = tf.split(x, 3, axis=-1)
        m = tf.matmul(h_prev, recurrent_kernel) + recurrent_bias
        m_z, m_r, m_g = tf.split(m, 3, axis=-1)
        z, r = tf.sigmoid(x_z + m_z), tf.sigmoid(x_r + m_r)
        g = tf.tanh(x_g + r * m_g)
        h = hold_rows(keep, z * h_prev + (1 - z) * g, h_prev)
        return h, (h, tf.concat([z, r, g, m_g], axis=-1))

    units = recurrent_kernel.shape[0]
    return scan(step, (x_proj, mask, reset), h_0, widths=(units, 4 * units))


def _backward(upstream, gates, h_prev_seq, recurrent_kernel, mask, reset):
    d_h_seq, d_h_T = upstream
    # Transposed here, once: inside the loop XLA does it again at every step.
    transposed = tf.transpose(recurrent_kernel)

    def step(d_h, at_t):
        gates, d_h_out, h_prev, keep, fresh = at_t
        d_h += d_h_out
        z, r, g, m_g = tf.split(gates, 4, axis=-1)
        d_g = d_h * (1 - z) * (1 - g * g)
        d_z = d_h * (h_prev - g) * z * (1 - z)
        d_r = d_g * m_g * r * (1 - r)
        # Four parts: the inputs see d_g, the recurrent product sees r * d_g.
        parts = tf.concat([d_z, d_r, d_g, d_g * r], axis=-1)
        parts = hold_rows(keep, parts, tf.zeros_like(parts))
        d_x, d_m = _both_sides(parts)
        d_h_prev = tf.matmul(d_m, transposed) + hold_rows(keep, d_h * z, d_h)
        return clear_rows(fresh, d_h_prev), (parts,)

    d_h_0, (parts,) = scan(
        step,
        (gates, d_h_seq, h_prev_seq, mask, reset),
        d_h_T,
        widths=(gates.shape[-1],),
        reverse=True,
    )
    return *_both_sides(parts), d_h_0


def _both_sides(parts):
    """Gradients of x_proj and of m from the parts z, r, g and r * g."""
    units = parts.shape[-1] // 4
    shared, d_g, d_m_g = tf.split(parts, [2 * units, units, units], axis=-1)
    return parts[..., : 3 * units], tf.concat([shared, d_m_g], axis=-1)
