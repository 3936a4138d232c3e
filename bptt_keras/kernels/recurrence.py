"""Any gated recurrence, with a backward pass that recomputes each step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from bptt_keras.kernels.derivatives import only_once
from bptt_keras.kernels.time_major import clear, hold, previous, scan, weight_gradient
from bptt_keras.tensorflow_internals import unrecorded
from bptt_keras.types import Tensor


def recurrence(
    step: Callable[..., tuple[Tensor, ...]],
    x_proj: Tensor,
    states: Sequence[Tensor],
    recurrent_kernel: Tensor | None,
    weights: Sequence[Tensor] = (),
    *,
    extra: Tensor | None = None,
    mask: Tensor | None = None,
    reset: Tensor | None = None,
) -> tuple[Tensor, ...]:
    """Run a recurrence along time whose step TensorFlow differentiates.

        m_t = h_{t-1} U
        h_t, ... = step(x_proj_t, m_t, (h_{t-1}, ...), extra_t, *weights)

    A row that `reset` flags at step t takes zeros for its states before the step. A
    row that `mask` switches off at step t keeps its states. The states of all steps
    are kept for the backward pass; the intermediate values of a step are recomputed.
    The gradient of U is one product over all steps.

    Args:
        step: the function above; returns a tuple like `states`.
        x_proj: `(time, batch, width)` floats, the projected inputs.
        states: tuple of `(batch, units)`, the states before the first step; the first
            one is h.
        recurrent_kernel: `(units, width)`, U, or None: then `step` gets None for m_t.
        weights: tuple of tensors, other weights of `step`; small ones, because their
            gradients are summed step by step.
        extra: `(time, batch, ...)`, other inputs of `step`, without a gradient, or
            None.
        mask: `(time, batch)` booleans, False where a row has no input, or None.
        reset: `(time, batch)` booleans, True where a row starts afresh, or None.

    Returns:
        `(h_seq, *states)` of shapes `(time, batch, units)` and `(batch, units)`, all
        differentiable with respect to `x_proj`, `states`, `recurrent_kernel` and
        `weights`.

    Example:

        from bptt_keras.kernels.recurrence import recurrence

        def step(x, m, states, extra):
            return (tf.tanh(x + m),)

        h_seq, h_T = recurrence(
            step, tf.zeros((7, 2, 3)), (tf.zeros((2, 3)),), tf.zeros((3, 3))
        )

    Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost" (2016), for
    recomputing what the backward pass needs; here within each step.
    """
    count, linked = len(states), recurrent_kernel is not None
    if mask is not None:
        # A masked step may contain NaN, and 0 * NaN would spoil gradients.
        x_proj = tf.where(mask[..., None], x_proj, tf.zeros_like(x_proj))
    # With a variable, the gradient function would need a second signature.
    arguments = [
        tf.convert_to_tensor(a)
        for a in (x_proj, *states, *[recurrent_kernel] * linked, *weights)
    ]

    @tf.custom_gradient
    def run(x_proj, *rest):
        states, rest = rest[:count], rest[count:]
        kernel = rest[0] if linked else None
        weights = rest[1:] if linked else rest
        with unrecorded():
            last, (h_seq, *others) = _forward(
                step, (x_proj, extra, mask, reset), states, kernel, weights
            )

        def gradient(d_h_seq, *d_last):
            prev = (previous(h_seq, states[0], reset), *others)
            d_x, d_m, d_states, d_weights = _backward(
                step,
                (x_proj, extra, mask, reset),
                prev,
                (d_h_seq, d_last),
                kernel,
                weights,
            )
            d_kernel = [weight_gradient(prev[0], d_m)] if linked else []
            return only_once((d_x, *d_states, *d_kernel, *d_weights), arguments)

        return (h_seq, *last), gradient

    return run(*arguments)


def _product(h: Tensor, kernel: Tensor | None) -> Tensor | None:
    return None if kernel is None else tf.matmul(h, kernel)


def _forward(
    step: Callable[..., tuple[Tensor, ...]],
    sequences: tuple[Any, ...],
    states: Sequence[Tensor],
    kernel: Tensor | None,
    weights: Sequence[Tensor],
) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
    def at_t(states, sequences):
        x, extra, keep, fresh = sequences
        prev = tuple(clear(fresh, s) for s in states)
        new = step(x, _product(prev[0], kernel), prev, extra, *weights)
        new = tuple(hold(keep, n, p) for n, p in zip(new, prev, strict=True))
        # h before each step follows from h after it; the other states are kept.
        return new, (new[0], *prev[1:])

    widths = [s.shape[-1] for s in states]
    return scan(at_t, sequences, tuple(states), widths=widths)


def _backward(
    step: Callable[..., tuple[Tensor, ...]],
    sequences: tuple[Any, ...],
    prev: Sequence[Tensor],
    upstream: tuple[Tensor, Sequence[Tensor]],
    kernel: Tensor | None,
    weights: Sequence[Tensor],
) -> tuple[Tensor, Tensor | None, tuple[Tensor, ...], tuple[Tensor, ...]]:
    x_proj, extra, mask, reset = sequences
    d_h_seq, d_last = upstream
    count = len(prev)
    # One product for all steps, instead of one per step inside the loop.
    m_seq = None
    if kernel is not None:
        shape = tf.concat([tf.shape(prev[0])[:2], [kernel.shape[-1]]], axis=0)
        rows = tf.reshape(prev[0], (-1, kernel.shape[0]))
        m_seq = tf.reshape(tf.matmul(rows, kernel), shape)
        transposed = tf.transpose(kernel)

    def at_t(carry, sequences):
        d_states, d_weights = carry
        x, extra, keep, fresh, d_h_out, m, *prev = sequences
        d_states = (d_states[0] + d_h_out, *d_states[1:])
        d_new = [hold(keep, d, tf.zeros_like(d)) for d in d_states]
        sources = [x, *([] if m is None else [m]), *prev, *weights]
        with tf.GradientTape() as tape:
            tape.watch(sources)
            new = step(x, m, tuple(prev), extra, *weights)
        slopes = tape.gradient(list(new), sources, d_new, unconnected_gradients="zero")
        d_x, slopes = slopes[0], slopes[1:]
        outputs = (d_x,)
        if m is not None:
            outputs, slopes = (d_x, slopes[0]), slopes[1:]
        d_prev = list(slopes[:count])
        if m is not None:
            d_prev[0] += tf.matmul(outputs[1], transposed)
        if keep is not None:
            d_prev = [
                d + hold(keep, tf.zeros_like(d), held)
                for d, held in zip(d_prev, d_states, strict=True)
            ]
        d_prev = tuple(clear(fresh, d) for d in d_prev)
        d_weights = tuple(d + s for d, s in zip(d_weights, slopes[count:], strict=True))
        return (d_prev, d_weights), outputs

    (d_states, d_weights), outputs = scan(
        at_t,
        (x_proj, extra, mask, reset, d_h_seq, m_seq, *prev),
        (tuple(d_last), tuple(tf.zeros_like(w) for w in weights)),
        widths=[x_proj.shape[-1]] * (1 if kernel is None else 2),
        reverse=True,
    )
    d_m = outputs[1] if kernel is not None else None
    return outputs[0], d_m, d_states, d_weights
