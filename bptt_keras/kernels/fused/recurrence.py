"""Runs a fused recurrence, with the implementation that fits."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from bptt_keras.kernels.derivatives import only_once
from bptt_keras.kernels.fused.equations import Equations
from bptt_keras.kernels.fused.implementation import Arguments, Implementation
from bptt_keras.kernels.fused.loops import Loops
from bptt_keras.kernels.native import probe
from bptt_keras.kernels.native.implementation import Native
from bptt_keras.kernels.native.kinds import why_not
from bptt_keras.kernels.native.place import any_way, way_here
from bptt_keras.types import Tensor

IMPLEMENTATIONS = ("auto", "native", "fused")


def implementation_of(
    equations: Equations | str, dtype: tf.DType, choice: str = "auto"
) -> Implementation:
    """Chooses the implementation of a recurrence, for where it runs now.

    Args:
        equations: its equations, or, if only the native library has it, its name there.
        dtype: of the inputs.
        choice: one of `IMPLEMENTATIONS`, as for `run`.

    Raises:
        ValueError: it is not one of them, or cannot run here.
    """
    if choice not in IMPLEMENTATIONS:
        raise ValueError(
            f"`implementation` must be one of {IMPLEMENTATIONS}. Received: "
            f"implementation={choice!r}."
        )
    kind = equations if isinstance(equations, str) else equations.native
    loops = None if isinstance(equations, str) else Loops(equations)
    if choice == "fused" and loops is not None:
        return loops
    way = way_here() if choice == "auto" else any_way()
    if choice == "fused":
        reason = "there is no other kernel for this recurrence"
    elif way is None:
        reason = "this function may be saved, and then run without the library"
    else:
        found = why_not(kind, dtype) or probe.why_not(xla=way == "custom call")
        if found is None and kind is not None:
            return Native(kind, way)
        reason = str(found)
    if choice == "auto" and loops is not None:
        return loops
    raise ValueError(
        f"The native kernel cannot run here: {reason}. Received: implementation="
        f"{choice!r}, dtype {dtype.name}. Use "
        f"{'the Keras layer of the same name' if loops is None else repr('auto')}."
    )


def run(
    equations: Equations | str,
    x: Tensor,
    states: Sequence[Tensor],
    weights: tuple[Tensor, Tensor],
    biases: Sequence[Tensor | None],
    *,
    mask: Tensor | None = None,
    reset: Tensor | None = None,
    save: bool = True,
    implementation: str = "auto",
) -> tuple[Tensor, ...]:
    """Run a recurrence along time, differentiably.

    Args:
        equations: the equations of its step, or the name of a recurrence that only the
            native library has.
        x: `(time, batch, features)` floats.
        states: the states before the first step, each `(batch, units)`; the first one
            is h.
        weights: W and U, as in `Arguments`.
        biases: b and, if the equations have one, b_r; None for zeros.
        mask: `(time, batch)` booleans, False where a row has no input, or None.
        reset: `(time, batch)` booleans, True where a row starts afresh, or None.
        save: whether to save what the backward pass needs. False: the forward pass
            is faster (on a CPU), but the backward pass has to repeat it.
        implementation: "native", "fused" (`Loops`) or "auto": native code where it runs
            and stays in this process (`native.place`), else loops.

    Returns:
        `(h_seq, *states)` of shapes `(time, batch, units)` and `(batch, units)`, in
        the dtype of `x`, differentiable with respect to x, the states, the
        weights and the biases.

    Raises:
        ValueError: `implementation` cannot run here.
    """
    x = tf.convert_to_tensor(x)
    zeros = tf.zeros(weights[1].shape[-1:], x.dtype)
    biases = [zeros if bias is None else bias for bias in biases]
    mask, reset = (
        None if f is None else tf.convert_to_tensor(f) for f in (mask, reset)
    )
    # With a variable, the gradient function would need a second signature.
    arguments = [tf.convert_to_tensor(a) for a in (x, *states, *weights, *biases)]
    count, chosen = len(states), implementation_of(equations, x.dtype, implementation)

    @tf.custom_gradient
    def recurrence(x: Tensor, *rest: Tensor) -> tuple[tuple[Tensor, ...], Any]:
        states, (kernel, recurrent_kernel, *biases) = rest[:count], rest[count:]
        given = Arguments(
            x, states, kernel, recurrent_kernel, tuple(biases), mask, reset
        )
        if save:
            outputs, saved = chosen.forward_saving(given)
        else:
            outputs = chosen.forward(given)

        def gradient(*upstream: Tensor) -> tuple[Tensor, ...]:
            needed = saved if save else chosen.forward_saving(given)[1]
            gradients = chosen.backward(given, needed, upstream)
            return only_once(gradients, arguments)

        return outputs, gradient

    return recurrence(*arguments)
