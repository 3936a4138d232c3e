"""The recurrence of an LSTM, with a backward pass written by hand."""

import tensorflow as tf

from bptt_keras.kernels.scan import (
    clear_rows,
    hold_rows,
    only_once,
    previous,
    recurrent_gradient,
    scan,
)


def lstm(x_proj, h_0, c_0, recurrent_kernel, *, mask=None, reset=None):
    """Run an LSTM along time, given the projected inputs.

        z_t = x_proj_t + h_{t-1} U,          split into z_i, z_f, z_g, z_o
        i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o);   g = tanh(z_g)
        c_t = f * c_{t-1} + i * g
        h_t = o * tanh(c_t)

    A row that `reset` flags at step t takes h_{t-1} = c_{t-1} = 0. A row that `mask`
    switches off at step t keeps h_t = h_{t-1} and c_t = c_{t-1}.

    Args:
        x_proj: `(time, batch, 4 * units)` floats, `x W + b`, gates in the order
            i, f, g, o.
        h_0: `(batch, units)`, the hidden state before the first step.
        c_0: `(batch, units)`, the cell state before the first step.
        recurrent_kernel: `(units, 4 * units)`, U.
        mask: `(time, batch)` booleans, False where a row has no input, or None.
        reset: `(time, batch)` booleans, True where a row starts afresh, or None.

    Returns:
        `(h_seq, h_T, c_T)` of shapes `(time, batch, units)`, `(batch, units)` and
        `(batch, units)`, in the dtype of `x_proj`. All three are differentiable with
        respect to the first four arguments.

    Example:

        from bptt_keras.kernels.lstm import lstm

        h_seq, h_T, c_T = lstm(
            tf.zeros((7, 2, 12)), tf.zeros((2, 3)), tf.zeros((2, 3)), tf.zeros((3, 12))
        )

    Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers, Schmidhuber &
    Cummins 2000. The backward loop makes only the gradients of z; the gradient of U
    is one product over all steps.
    """
    # A variable would ask the gradient function for a second signature.
    arguments = [tf.convert_to_tensor(a) for a in (x_proj, h_0, c_0, recurrent_kernel)]

    @tf.custom_gradient
    def recurrence(x_proj, h_0, c_0, recurrent_kernel):
        (h_T, c_T), (h_seq, c_prev, gates) = _forward(
            x_proj, h_0, c_0, recurrent_kernel, mask, reset
        )

        def gradient(d_h_seq, d_h_T, d_c_T):
            d_z, d_h_0, d_c_0 = _backward(
                (d_h_seq, d_h_T, d_c_T), gates, c_prev, recurrent_kernel, mask, reset
            )
            h_prev = previous(h_seq, h_0, reset)
            d_kernel = recurrent_gradient(h_prev, d_z)
            return only_once((d_z, d_h_0, d_c_0, d_kernel), arguments)

        return (h_seq, h_T, c_T), gradient

    return recurrence(*arguments)


def _forward(x_proj, h_0, c_0, recurrent_kernel, mask, reset):
    def step(carry, at_t):
        x, keep, fresh = at_t
        h_prev, c_prev = (clear_rows(fresh, state) for state in carry)
        z_i, z_f, z_g, z_o = tf.split(x + tf.matmul(h_prev, recurrent_kernel), 4, -1)
        i, f, o = tf.sigmoid(z_i), tf.sigmoid(z_f), tf.sigmoid(z_o)
        g = tf.tanh(z_g)
        c = f * c_prev + i * g
        h = hold_rows(keep, o * tf.tanh(c), h_prev)
        c = hold_rows(keep, c, c_prev)
        # c_prev and not c: the backward pass needs it, and c follows from it.
        return (h, c), (h, c_prev, tf.concat([i, f, g, o], axis=-1))

    units = recurrent_kernel.shape[0]
    return scan(
        step, (x_proj, mask, reset), (h_0, c_0), widths=(units, units, 4 * units)
    )


def _backward(upstream, gates, c_prev_seq, recurrent_kernel, mask, reset):
    d_h_seq, d_h_T, d_c_T = upstream
    # Transposed here, once: inside the loop XLA does it again at every step.
    transposed = tf.transpose(recurrent_kernel)

    def step(carry, at_t):
        gates, d_h_out, c_prev, keep, fresh = at_t
        d_h, d_c = carry
        d_h += d_h_out
        i, f, g, o = tf.split(gates, 4, axis=-1)
        tanh_c = tf.tanh(f * c_prev + i * g)
        d_c_in = d_c + d_h * o * (1 - tanh_c * tanh_c)
        d_z = tf.concat(
            [
                d_c_in * g * i * (1 - i),
                d_c_in * c_prev * f * (1 - f),
                d_c_in * i * (1 - g * g),
                d_h * tanh_c * o * (1 - o),
            ],
            axis=-1,
        )
        d_z = hold_rows(keep, d_z, tf.zeros_like(d_z))
        d_h_prev = tf.matmul(d_z, transposed)
        if keep is not None:
            d_h_prev += hold_rows(keep, tf.zeros_like(d_h), d_h)
        d_c_prev = hold_rows(keep, d_c_in * f, d_c)
        return (clear_rows(fresh, d_h_prev), clear_rows(fresh, d_c_prev)), (d_z,)

    (d_h_0, d_c_0), (d_z,) = scan(
        step,
        (gates, d_h_seq, c_prev_seq, mask, reset),
        (d_h_T, d_c_T),
        widths=(gates.shape[-1],),
        reverse=True,
    )
    return d_z, d_h_0, d_c_0
