"""The recurrence of a GRU, with a backward pass written by hand."""

import functools

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
    swap_to_back,
    swap_to_front,
    walk,
    weight_gradient,
    wide,
)
from bptt_keras.kernels.fused.forward import forward
from bptt_keras.kernels.time_major import only_once


def gru(
    x,
    h_0,
    kernel,
    recurrent_kernel,
    bias=None,
    recurrent_bias=None,
    *,
    mask=None,
    reset=None,
    save=True,
):
    """Run a GRU along time.

        p_t = x_t W + b;   m_t = h_{t-1} U + b_r;   both split into parts z, r, g
        z = sigmoid(p_z + m_z);   r = sigmoid(p_r + m_r);   g = tanh(p_g + r * m_g)
        h_t = z * h_{t-1} + (1 - z) * g

    This is the form that Keras calls `reset_after=True`. A row that `reset` flags at
    step t takes h_{t-1} = 0. A row that `mask` switches off at step t keeps
    h_t = h_{t-1}.

    How it runs: a step is two products, for p and for m; with sigmoid(z) =
    (1 + tanh(z / 2)) / 2, where the 1/2 is in the weights, one tanh serves z and r.
    The way back makes the gradients of z, r, g and m_g. The gradients of W and U are
    one product each, over all steps.

    Args:
        x: `(time, batch, features)` floats.
        h_0: `(batch, units)`, the state before the first step.
        kernel: `(features, 3 * units)`, W, gates in the order z (update), r (reset),
            g (candidate).
        recurrent_kernel: `(units, 3 * units)`, U.
        bias: `(3 * units,)`, b, or None for zeros.
        recurrent_bias: `(3 * units,)`, b_r, or None for zeros.
        mask: `(time, batch)` booleans, False where a row has no input, or None.
        reset: `(time, batch)` booleans, True where a row starts afresh, or None.
        save: Whether to save what the way back needs. False: the way there is faster
            (on a CPU), and the way back runs it once more. Default: True.

    Returns:
        `(h_seq, h_T)` of shapes `(time, batch, units)` and `(batch, units)`, in the
        dtype of `x`, differentiable with respect to the first six arguments.

    Example:

        from bptt_keras.kernels.gru import gru

        h_seq, h_T = gru(
            tf.zeros((7, 2, 5)), tf.zeros((2, 3)), tf.zeros((5, 9)), tf.zeros((3, 9))
        )

    Source: Cho et al. 2014, in the variant of cuDNN that applies the reset gate after
    the product.
    """
    zeros = tf.zeros(recurrent_kernel.shape[-1:], x.dtype)
    bias = zeros if bias is None else bias
    recurrent_bias = zeros if recurrent_bias is None else recurrent_bias
    # A variable would ask the gradient function for a second signature.
    arguments = [
        tf.convert_to_tensor(a)
        for a in (x, h_0, kernel, recurrent_kernel, bias, recurrent_bias)
    ]

    @tf.custom_gradient
    def recurrence(x, h_0, kernel, recurrent_kernel, bias, recurrent_bias):
        scale, flags = _scale(recurrent_kernel), {"mask": mask, "reset": reset}
        scaled = [w * scale for w in (kernel, recurrent_kernel, bias, recurrent_bias)]

        def run():
            weights, biases = [tf.transpose(w) for w in scaled[:2]], scaled[2:]
            front = swap_to_front(x, mask)
            h_T, kept = _forward(front, h_0, weights, biases, **flags)
            return h_T, (front, *kept)

        if save:
            h_T, saved = run()
            outputs = swap_to_back(saved[1]), h_T
        else:
            step = functools.partial(_step, wide(scaled[3]))
            outputs = forward(step, x, (h_0,), *scaled[:3], **flags)

        def gradient(d_h_seq, d_h_T):
            front, h_seq, gates = saved if save else run()[1]
            h_prev = previous(h_seq, h_0, reset)
            d_h_0, (d_p, d_m_g, d_x) = _backward(
                (swap_to_front(d_h_seq), d_h_T),
                (gates, h_prev, mask, reset),
                scaled[:2],
            )
            d_m = tf.concat([d_p[: 2 * d_m_g.shape[0]], d_m_g], axis=0)
            gradients = (
                swap_to_back(d_x),
                d_h_0,
                weight_gradient(front, d_p) * scale,
                weight_gradient(h_prev, d_m) * scale,
                tf.reduce_sum(d_p, axis=(1, 2)) * scale,
                tf.reduce_sum(d_m, axis=(1, 2)) * scale,
            )
            return only_once(gradients, arguments)

        return outputs, gradient

    return recurrence(*arguments)


def _scale(recurrent_kernel):
    """1/2 for the two gates, 1 for g."""
    units, dtype = recurrent_kernel.shape[0], recurrent_kernel.dtype
    parts = [tf.fill([units], tf.constant(s, dtype)) for s in (0.5, 0.5, 1.0)]
    return tf.concat(parts, axis=0)


def _step(recurrent_bias, p, m, states):
    """One step of the equations, for rows of features."""
    p_z, p_r, p_g = tf.split(p, 3, axis=-1)
    m_z, m_r, m_g = tf.split(m + recurrent_bias, 3, axis=-1)
    z, r = (0.5 * tf.tanh(a) + 0.5 for a in (p_z + m_z, p_r + m_r))
    return (z * states[0] + (1 - z) * tf.tanh(p_g + r * m_g),)


def _forward(x, h_0, weights, biases, mask, reset):
    dtype, units = x.dtype, h_0.shape[-1]
    of_inputs, of_state = weights
    b, b_r = (wide(spread(bias, tf.shape(x)[-1])) for bias in biases)

    def step(h_prev, at_t):
        x, keep, fresh = at_t
        h_prev = clear(fresh, h_prev)
        p_zr, p_g = cut(wide(product(of_inputs, x)) + b, 2 * units, units)
        m_zr, m_g = cut(wide(product(of_state, h_prev)) + b_r, 2 * units, units)
        a = tf.tanh(p_zr + m_zr)
        a_z, a_r = tf.split(a, 2)
        z, r = 0.5 * a_z + 0.5, 0.5 * a_r + 0.5
        g = tf.tanh(p_g + r * m_g)
        h = tf.cast(z * wide(h_prev) + (1 - z) * g, dtype)
        h = hold(keep, h, h_prev)
        kept = tf.cast(tf.concat([a, g, m_g], axis=0), dtype)
        return h, (h, kept)

    h, outputs = walk(step, (x, mask, reset), flat(h_0), (units, Kept(4 * units)))
    return rows(h, units), outputs


def _backward(upstream, saved, weights):
    d_h_seq, d_h_T = upstream
    gates, h_prev_seq, mask, reset = saved
    of_inputs, of_state = weights
    dtype, units = d_h_seq.dtype, d_h_T.shape[-1]

    def step(carry, at_t):
        d_h_out, kept, h_prev, keep, fresh = at_t
        d_h, p_place, m_place = carry
        d_h += wide(d_h_out)
        a_z, a_r, g, m_g = tf.split(wide(kept), 4)
        z, r = 0.5 * a_z + 0.5, 0.5 * a_r + 0.5
        d_g = d_h * (1 - z) * (1 - g * g)
        d_z = d_h * (wide(h_prev) - g) * (0.5 - 0.5 * a_z * a_z)
        d_r = d_g * m_g * (0.5 - 0.5 * a_r * a_r)
        # The inputs see d_g, the recurrent product sees r * d_g.
        d_z, d_r, d_g, d_m_g = (
            hold(keep, tf.cast(d, dtype), tf.zeros([], dtype))
            for d in (d_z, d_r, d_g, d_g * r)
        )
        p_place = join([d_z, d_r, d_g], p_place)
        m_place = join([d_z, d_r, d_m_g], m_place)
        d_h_prev = wide(product(of_state, m_place)) + hold(keep, d_h * z, d_h)
        outputs = p_place, d_m_g, product(of_inputs, p_place)
        return (clear(fresh, d_h_prev), p_place, m_place), outputs

    d_h = wide(flat(d_h_T))
    places = [tf.zeros([3 * tf.size(d_h)], dtype)] * 2
    (d_h, *_), outputs = walk(
        step,
        (d_h_seq, gates, h_prev_seq, mask, reset),
        (d_h, *places),
        (3 * units, units, of_inputs.shape[0]),
        reverse=True,
    )
    return tf.cast(rows(d_h, units), dtype), outputs
