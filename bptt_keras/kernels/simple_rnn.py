"""The recurrence of a simple RNN, with a backward pass written by hand."""

import tensorflow as tf

from bptt_keras.kernels.scan import (
    clear_rows,
    hold_rows,
    only_once,
    previous,
    recurrent_gradient,
    scan,
)

# Each activation, and its derivative as a function of its value.
ACTIVATIONS = {
    "tanh": (tf.tanh, lambda h: 1 - h * h),
    "relu": (tf.nn.relu, lambda h: tf.cast(h > 0, h.dtype)),
    "linear": (tf.identity, tf.ones_like),
}


def simple_rnn(
    x_proj, h_0, recurrent_kernel, *, activation="tanh", mask=None, reset=None
):
    """Run a simple (Elman) RNN along time, given the projected inputs.

        h_t = activation(x_proj_t + h_{t-1} U)

    A row that `reset` flags at step t takes h_{t-1} = 0. A row that `mask` switches
    off at step t keeps h_t = h_{t-1}.

    Args:
        x_proj: `(time, batch, units)` floats, `x W + b`.
        h_0: `(batch, units)`, the state before the first step.
        recurrent_kernel: `(units, units)`, U.
        activation: "tanh", "relu" or "linear".
        mask: `(time, batch)` booleans, False where a row has no input, or None.
        reset: `(time, batch)` booleans, True where a row starts afresh, or None.

    Returns:
        `(h_seq, h_T)` of shapes `(time, batch, units)` and `(batch, units)`, in the
        dtype of `x_proj`, differentiable with respect to the first three arguments.

    Raises:
        ValueError: `activation` is none of the three.

    Example:

        from bptt_keras.kernels.simple_rnn import simple_rnn

        h_seq, h_T = simple_rnn(
            tf.zeros((7, 2, 3)), tf.zeros((2, 3)), tf.zeros((3, 3))
        )

    Source: Elman 1990. The gradient of U is one product over all steps.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"`activation` must be one of {sorted(ACTIVATIONS)}. "
            f"Received: activation={activation!r}."
        )

    # A variable would ask the gradient function for a second signature.
    arguments = [tf.convert_to_tensor(a) for a in (x_proj, h_0, recurrent_kernel)]

    @tf.custom_gradient
    def recurrence(x_proj, h_0, recurrent_kernel):
        h_T, h_seq = _forward(x_proj, h_0, recurrent_kernel, activation, mask, reset)

        def gradient(d_h_seq, d_h_T):
            d_z, d_h_0 = _backward(
                (d_h_seq, d_h_T), h_seq, recurrent_kernel, activation, mask, reset
            )
            h_prev = previous(h_seq, h_0, reset)
            d_kernel = recurrent_gradient(h_prev, d_z)
            return only_once((d_z, d_h_0, d_kernel), arguments)

        return (h_seq, h_T), gradient

    return recurrence(*arguments)


def _forward(x_proj, h_0, recurrent_kernel, activation, mask, reset):
    activate, _ = ACTIVATIONS[activation]

    def step(h_prev, at_t):
        x, keep, fresh = at_t
        h_prev = clear_rows(fresh, h_prev)
        h = activate(x + tf.matmul(h_prev, recurrent_kernel))
        h = hold_rows(keep, h, h_prev)
        return h, (h,)

    units = recurrent_kernel.shape[0]
    h_T, (h_seq,) = scan(step, (x_proj, mask, reset), h_0, widths=(units,))
    return h_T, h_seq


def _backward(upstream, h_seq, recurrent_kernel, activation, mask, reset):
    d_h_seq, d_h_T = upstream
    _, derivative = ACTIVATIONS[activation]
    # Transposed here, once: inside the loop XLA does it again at every step.
    transposed = tf.transpose(recurrent_kernel)

    def step(d_h, at_t):
        h, d_h_out, keep, fresh = at_t
        d_h += d_h_out
        d_z = hold_rows(keep, d_h * derivative(h), tf.zeros_like(d_h))
        d_h_prev = tf.matmul(d_z, transposed)
        if keep is not None:
            d_h_prev += hold_rows(keep, tf.zeros_like(d_h), d_h)
        return clear_rows(fresh, d_h_prev), (d_z,)

    d_h_0, (d_z,) = scan(
        step,
        (h_seq, d_h_seq, mask, reset),
        d_h_T,
        widths=(h_seq.shape[-1],),
        reverse=True,
    )
    return d_z, d_h_0
