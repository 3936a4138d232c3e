"""Runs a fused recurrence, with any implementation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from bptt_keras.kernels.derivatives import only_once
from bptt_keras.kernels.fused.equations import Equations
from bptt_keras.kernels.fused.implementation import Arguments, Implementation
from bptt_keras.kernels.fused.loops import Loops
from bptt_keras.types import Tensor


def implementation_of(equations: Equations) -> Implementation:
    """Chooses the implementation of a recurrence."""
    return Loops(equations)


def run(
    equations: Equations,
    x: Tensor,
    states: Sequence[Tensor],
    weights: tuple[Tensor, Tensor],
    biases: Sequence[Tensor | None],
    *,
    mask: Tensor | None = None,
    reset: Tensor | None = None,
    save: bool = True,
) -> tuple[Tensor, ...]:
    """Run a recurrence along time, differentiably.

    Args:
        equations: the equations of its step.
        x: `(time, batch, features)` floats.
        states: the states before the first step, each `(batch, units)`; the first one
            is h.
        weights: W and U, as in `Arguments`.
        biases: b and, if the equations have one, b_r; None for zeros.
        mask: `(time, batch)` booleans, False where a row has no input, or None.
        reset: `(time, batch)` booleans, True where a row starts afresh, or None.
        save: whether to save what the backward pass needs. False: the forward pass
            is faster (on a CPU), but the backward pass has to repeat it.

    Returns:
        `(h_seq, *states)` of shapes `(time, batch, units)` and `(batch, units)`, in
        the dtype of `x`, differentiable with respect to x, the states, the
        weights and the biases.
    """
    zeros = tf.zeros(weights[1].shape[-1:], x.dtype)
    biases = [zeros if bias is None else bias for bias in biases]
    # With a variable, the gradient function would need a second signature.
    arguments = [tf.convert_to_tensor(a) for a in (x, *states, *weights, *biases)]
    count, implementation = len(states), implementation_of(equations)

    @tf.custom_gradient
    def recurrence(x: Tensor, *rest: Tensor) -> tuple[tuple[Tensor, ...], Any]:
        states, (kernel, recurrent_kernel, *biases) = rest[:count], rest[count:]
        given = Arguments(
            x, states, kernel, recurrent_kernel, tuple(biases), mask, reset
        )
        if save:
            outputs, saved = implementation.forward_saving(given)
        else:
            outputs = implementation.forward(given)

        def gradient(*upstream: Tensor) -> tuple[Tensor, ...]:
            needed = saved if save else implementation.forward_saving(given)[1]
            gradients = implementation.backward(given, needed, upstream)
            return only_once(gradients, arguments)

        return outputs, gradient

    return recurrence(*arguments)
