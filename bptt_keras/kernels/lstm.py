"""The recurrence of an LSTM, with a backward pass written by hand."""

import tensorflow as tf

from bptt_keras.kernels.fused.feature_major import (
    Kept,
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


def lstm(
    x,
    h_0,
    c_0,
    kernel,
    recurrent_kernel,
    bias=None,
    *,
    mask=None,
    reset=None,
    save=True,
):
    """Run an LSTM along time.

        z_t = x_t W + h_{t-1} U + b,          split into z_i, z_f, z_g, z_o
        i, f, o = sigmoid(z_i), sigmoid(z_f), sigmoid(z_o);   g = tanh(z_g)
        c_t = f * c_{t-1} + i * g
        h_t = o * tanh(c_t)

    A row that `reset` flags at step t takes h_{t-1} = c_{t-1} = 0. A row that `mask`
    switches off at step t keeps h_t = h_{t-1} and c_t = c_{t-1}.

    How it runs: with sigmoid(z) = (1 + tanh(z / 2)) / 2, where the 1/2 is in the
    weights, one product gives the arguments of one tanh over all gates,

        a = tanh([W U]^T [x_t h_{t-1}]^T + b)

    The way back makes the gradients of these arguments, step by step, and hands
    `[W U]` times them to x_t and h_{t-1}. The gradients of W and U are one product
    each, over all steps.

    Args:
        x: `(time, batch, features)` floats.
        h_0: `(batch, units)`, the hidden state before the first step.
        c_0: `(batch, units)`, the cell state before the first step.
        kernel: `(features, 4 * units)`, W, gates in the order i, f, g, o.
        recurrent_kernel: `(units, 4 * units)`, U.
        bias: `(4 * units,)`, b, or None for zeros.
        mask: `(time, batch)` booleans, False where a row has no input, or None.
        reset: `(time, batch)` booleans, True where a row starts afresh, or None.
        save: Whether to save what the way back needs. False: the way there is faster
            (on a CPU), and the way back runs it once more. Default: True.

    Returns:
        `(h_seq, h_T, c_T)` of shapes `(time, batch, units)`, `(batch, units)` and
        `(batch, units)`, in the dtype of `x`. All three are differentiable with
        respect to the first six arguments.

    Example:

        from bptt_keras.kernels.lstm import lstm

        h_seq, h_T, c_T = lstm(
            tf.zeros((7, 2, 5)),
            tf.zeros((2, 3)),
            tf.zeros((2, 3)),
            tf.zeros((5, 12)),
            tf.zeros((3, 12)),
        )

    Source: Hochreiter & Schmidhuber 1997 with the forget gate of Gers, Schmidhuber &
    Cummins 2000.
    """
    if bias is None:
        bias = tf.zeros(recurrent_kernel.shape[-1:], x.dtype)
    # A variable would ask the gradient function for a second signature.
    arguments = [
        tf.convert_to_tensor(a) for a in (x, h_0, c_0, kernel, recurrent_kernel, bias)
    ]

    @tf.custom_gradient
    def recurrence(x, h_0, c_0, kernel, recurrent_kernel, bias):
        scale, flags = _scale(recurrent_kernel), {"mask": mask, "reset": reset}

        def run():
            weights = stacked(kernel, recurrent_kernel) * scale[:, None], bias * scale
            front = swap_to_front(x, mask)
            last, kept = _forward(front, h_0, c_0, weights, **flags)
            return last, (front, *kept)

        if save:
            (h_T, c_T), saved = run()
            outputs = swap_to_back(saved[1]), h_T, c_T
        else:
            weights = kernel * scale, recurrent_kernel * scale, bias * scale
            outputs = forward(_step, x, (h_0, c_0), *weights, **flags)

        def gradient(d_h_seq, d_h_T, d_c_T):
            front, h_seq, gates, c_prev = saved if save else run()[1]
            weights = tf.concat([kernel, recurrent_kernel], axis=0) * scale
            (d_h_0, d_c_0), (d_z, d_x) = _backward(
                (swap_to_front(d_h_seq), d_h_T, d_c_T),
                (gates, c_prev, mask, reset),
                weights,
            )
            d_kernel = weight_gradient(front, d_z) * scale
            d_recurrent = weight_gradient(previous(h_seq, h_0, reset), d_z) * scale
            d_bias = tf.reduce_sum(d_z, axis=(1, 2)) * scale
            gradients = swap_to_back(d_x), d_h_0, d_c_0, d_kernel, d_recurrent, d_bias
            return only_once(gradients, arguments)

        return outputs, gradient

    return recurrence(*arguments)


def _scale(recurrent_kernel):
    """1/2 for the three gates, 1 for g."""
    units, dtype = recurrent_kernel.shape[0], recurrent_kernel.dtype
    parts = [tf.fill([units], tf.constant(s, dtype)) for s in (0.5, 0.5, 1.0, 0.5)]
    return tf.concat(parts, axis=0)


def _gates(a, axis=0):
    """Gates i, f, g, o from the values of tanh."""
    i, f, g, o = tf.split(a, 4, axis)
    return 0.5 * i + 0.5, 0.5 * f + 0.5, g, 0.5 * o + 0.5


def _step(p, m, states):
    """One step of the equations, for rows of features."""
    i, f, g, o = _gates(tf.tanh(p + m), axis=-1)
    c = f * states[1] + i * g
    return o * tf.tanh(c), c


def _forward(x, h_0, c_0, weights, mask, reset):
    dtype, units = x.dtype, h_0.shape[-1]
    (weights, bias), batch = weights, tf.shape(x)[-1]
    bias = wide(spread(bias, batch))

    def step(carry, at_t):
        x, keep, fresh = at_t
        h_prev, c_prev, place = carry
        h_prev, c_prev = clear(fresh, h_prev), clear(fresh, c_prev)
        place = join([x, h_prev], place)
        a = tf.tanh(wide(product(weights, place)) + bias)
        i, f, g, o = _gates(a)
        c = f * c_prev + i * g
        h = hold(keep, tf.cast(o * tf.tanh(c), dtype), h_prev)
        c = hold(keep, c, c_prev)
        # c_prev and not c: the way back needs it, and c follows from it.
        return (h, c, place), (h, tf.cast(a, dtype), tf.cast(c_prev, dtype))

    h_0, c_0 = flat(h_0), flat(c_0)
    place = tf.zeros([weights.shape[1] * batch], dtype)
    (h, c, _), outputs = walk(
        step,
        (x, mask, reset),
        (h_0, wide(c_0), place),
        (units, Kept(4 * units), Kept(units)),
    )
    return (rows(h, units), tf.cast(rows(c, units), dtype)), outputs


def _backward(upstream, saved, weights):
    d_h_seq, d_h_T, d_c_T = upstream
    gates, c_prev_seq, mask, reset = saved
    dtype, units = d_h_seq.dtype, d_h_T.shape[-1]
    features = weights.shape[0] - units

    def step(carry, at_t):
        d_h, d_c, place = carry
        d_h_out, a, c_prev, keep, fresh = at_t
        d_h += wide(d_h_out)
        a, c_prev = wide(a), wide(c_prev)
        i, f, g, o = _gates(a)
        a_i, a_f, _, a_o = tf.split(a, 4)
        tanh_c = tf.tanh(f * c_prev + i * g)
        d_c_in = d_c + d_h * o * (1 - tanh_c * tanh_c)
        d_z = [
            d_c_in * g * (0.5 - 0.5 * a_i * a_i),
            d_c_in * c_prev * (0.5 - 0.5 * a_f * a_f),
            d_c_in * i * (1 - g * g),
            d_h * tanh_c * (0.5 - 0.5 * a_o * a_o),
        ]
        d_z = [hold(keep, tf.cast(d, dtype), tf.zeros([], dtype)) for d in d_z]
        place = join(d_z, place)
        d_x, d_h_prev = cut(product(weights, place), features, units)
        d_h_prev = wide(d_h_prev)
        if keep is not None:
            d_h_prev += hold(keep, tf.zeros_like(d_h), d_h)
        d_c_prev = hold(keep, d_c_in * f, d_c)
        d_h, d_c = clear(fresh, d_h_prev), clear(fresh, d_c_prev)
        return (d_h, d_c, place), (place, d_x)

    d_h, d_c = wide(flat(d_h_T)), wide(flat(d_c_T))
    (d_h, d_c, _), outputs = walk(
        step,
        (d_h_seq, gates, c_prev_seq, mask, reset),
        (d_h, d_c, tf.zeros([4 * tf.size(d_h)], dtype)),
        (4 * units, features),
        reverse=True,
    )
    return tuple(tf.cast(rows(d, units), dtype) for d in (d_h, d_c)), outputs
