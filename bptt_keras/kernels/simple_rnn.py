"""The recurrence of a simple RNN, with a backward pass written by hand."""

import functools

import tensorflow as tf

from bptt_keras.kernels.fused.feature_major import (
    clear,
    cut,
    flat,
    hold,
    join,
    previous,
    product,
    rows,
    spread,
    stacked,
    swap_to_back,
    swap_to_front,
    walk,
    weight_gradient,
    wide,
)
from bptt_keras.kernels.fused.forward import forward
from bptt_keras.kernels.time_major import only_once

# Each activation, and its derivative as a function of its value.
ACTIVATIONS = {
    "tanh": (tf.tanh, lambda h: 1 - h * h),
    "relu": (tf.nn.relu, lambda h: tf.cast(h > 0, h.dtype)),
    "linear": (tf.identity, tf.ones_like),
}


def simple_rnn(
    x,
    h_0,
    kernel,
    recurrent_kernel,
    bias=None,
    *,
    activation="tanh",
    mask=None,
    reset=None,
    save=True,
):
    """Run a simple (Elman) RNN along time.

        h_t = activation(x_t W + h_{t-1} U + b)

    A row that `reset` flags at step t takes h_{t-1} = 0. A row that `mask` switches
    off at step t keeps h_t = h_{t-1}.

    How it runs: a step is one product, `[W U]^T [x_t h_{t-1}]^T`. The way back
    makes the gradient of what the activation is applied to, and hands `[W U]` times
    it to x_t and h_{t-1}. The gradients of W and U are one product each, over all
    steps.

    Args:
        x: `(time, batch, features)` floats.
        h_0: `(batch, units)`, the state before the first step.
        kernel: `(features, units)`, W.
        recurrent_kernel: `(units, units)`, U.
        bias: `(units,)`, b, or None for zeros.
        activation: "tanh", "relu" or "linear".
        mask: `(time, batch)` booleans, False where a row has no input, or None.
        reset: `(time, batch)` booleans, True where a row starts afresh, or None.
        save: Whether to save what the way back needs. False: the way there is faster
            (on a CPU), and the way back runs it once more. Default: True.

    Returns:
        `(h_seq, h_T)` of shapes `(time, batch, units)` and `(batch, units)`, in the
        dtype of `x`, differentiable with respect to the first five arguments.

    Raises:
        ValueError: `activation` is none of the three.

    Example:

        from bptt_keras.kernels.simple_rnn import simple_rnn

        h_seq, h_T = simple_rnn(
            tf.zeros((7, 2, 5)), tf.zeros((2, 3)), tf.zeros((5, 3)), tf.zeros((3, 3))
        )

    Source: Elman 1990.
    """
    if activation not in ACTIVATIONS:
        raise ValueError(
            f"`activation` must be one of {sorted(ACTIVATIONS)}. "
            f"Received: activation={activation!r}."
        )
    if bias is None:
        bias = tf.zeros(recurrent_kernel.shape[-1:], x.dtype)
    # A variable would ask the gradient function for a second signature.
    arguments = [
        tf.convert_to_tensor(a) for a in (x, h_0, kernel, recurrent_kernel, bias)
    ]

    @tf.custom_gradient
    def recurrence(x, h_0, kernel, recurrent_kernel, bias):
        flags = {"mask": mask, "reset": reset}

        def run():
            weights = stacked(kernel, recurrent_kernel), bias
            front = swap_to_front(x, mask)
            h_T, h_seq = _forward(front, h_0, weights, activation, **flags)
            return h_T, (front, h_seq)

        if save:
            h_T, saved = run()
            outputs = swap_to_back(saved[1]), h_T
        else:
            step = functools.partial(_step, activation)
            outputs = forward(step, x, (h_0,), kernel, recurrent_kernel, bias, **flags)

        def gradient(d_h_seq, d_h_T):
            front, h_seq = saved if save else run()[1]
            d_h_0, (d_z, d_x) = _backward(
                (swap_to_front(d_h_seq), d_h_T),
                (h_seq, mask, reset),
                tf.concat([kernel, recurrent_kernel], axis=0),
                activation,
            )
            d_kernel = weight_gradient(front, d_z)
            d_recurrent = weight_gradient(previous(h_seq, h_0, reset), d_z)
            d_bias = tf.reduce_sum(d_z, axis=(1, 2))
            gradients = swap_to_back(d_x), d_h_0, d_kernel, d_recurrent, d_bias
            return only_once(gradients, arguments)

        return outputs, gradient

    return recurrence(*arguments)


def _step(activation, p, m, states):
    """One step of the equation, for rows of features."""
    activate, _ = ACTIVATIONS[activation]
    return (activate(p + m),)


def _forward(x, h_0, weights, activation, mask, reset):
    dtype, units = x.dtype, h_0.shape[-1]
    activate, _ = ACTIVATIONS[activation]
    (weights, bias), batch = weights, tf.shape(x)[-1]
    bias = wide(spread(bias, batch))

    def step(carry, at_t):
        x, keep, fresh = at_t
        h_prev, place = carry
        h_prev = clear(fresh, h_prev)
        place = join([x, h_prev], place)
        z = wide(product(weights, place)) + bias
        h = hold(keep, activate(tf.cast(z, dtype)), h_prev)
        return (h, place), (h,)

    place = tf.zeros([weights.shape[1] * batch], dtype)
    (h, _), (h_seq,) = walk(step, (x, mask, reset), (flat(h_0), place), (units,))
    return rows(h, units), h_seq


def _backward(upstream, saved, weights, activation):
    d_h_seq, d_h_T = upstream
    h_seq, mask, reset = saved
    dtype, units = d_h_seq.dtype, d_h_T.shape[-1]
    features = weights.shape[0] - units
    _, derivative = ACTIVATIONS[activation]

    def step(d_h, at_t):
        d_h_out, h, keep, fresh = at_t
        d_h += wide(d_h_out)
        d_z = tf.cast(d_h * wide(derivative(h)), dtype)
        d_z = hold(keep, d_z, tf.zeros([], dtype))
        d_x, d_h_prev = cut(product(weights, d_z), features, units)
        d_h_prev = wide(d_h_prev)
        if keep is not None:
            d_h_prev += hold(keep, tf.zeros_like(d_h), d_h)
        return clear(fresh, d_h_prev), (d_z, d_x)

    d_h, outputs = walk(
        step,
        (d_h_seq, h_seq, mask, reset),
        wide(flat(d_h_T)),
        (units, features),
        reverse=True,
    )
    return tf.cast(rows(d_h, units), dtype), outputs
