"""The two ways to call the native library, with the same arguments and results.

Unlike the rest of the kernels, the library has the batch before the time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import tensorflow as tf

from bptt_keras.kernels.native.kinds import KINDS
from bptt_keras.kernels.native.library import library
from bptt_keras.kernels.native.stablehlo import Array, custom_call
from bptt_keras.tensorflow_internals import call_in_xla
from bptt_keras.types import Tensor

ELEMENTS = {tf.float32: "f32", tf.bfloat16: "bf16", tf.bool: "i1"}


class Inputs(NamedTuple):
    """What both directions are given, in the order of the library.

    Fields:
        x: `(batch, time, features)`.
        states: each `(batch, units)`.
        weights: W, `(features, gates * units)`, and U, `(units, gates * units)`.
        flags: mask and reset, each `(batch, time)` booleans, or `(0, 0)` for none.
    """

    x: Tensor
    states: tuple[Tensor, ...]
    weights: tuple[Tensor, Tensor]
    flags: tuple[Tensor, Tensor]


def forward(
    kind: str, inputs: Inputs, biases: Sequence[Tensor], *, saves: bool, xla: bool
) -> tuple[Tensor, tuple[Tensor, ...], Tensor]:
    """Runs a recurrence.

    Args:
        kind: one of `KINDS`.
        inputs: what it runs on.
        biases: each `(gates * units,)`.
        saves: whether it saves what `backward` needs.
        xla: whether it is called as a part of a program of XLA.

    Returns:
        `(h_seq, states, saved)`: `(batch, time, units)`, the last states, and what it
        saves, `(batch, time, n)`.
    """
    x, states, weights, flags = inputs
    number, units = KINDS[kind].number, weights[1].shape[0]
    batch, time, _ = x.shape
    width = library().saved_size(number, units) if saves else 0
    shapes = [(batch, time, units), *[s.shape for s in states], (batch, time, width)]
    if xla:
        operands = [x, *states, *weights, *biases, *flags]
        h_seq, *last, saved = _in_xla(kind, "forward", operands, shapes)
        return h_seq, tuple(last), saved
    kernel, recurrent_kernel = weights
    mask, reset = flags
    h_seq, last, saved = library().operation("forward")(
        x=x,
        states=states,
        kernel=kernel,
        recurrent_kernel=recurrent_kernel,
        biases=biases,
        mask=mask,
        reset=reset,
        kind=number,
        saves=saves,
    )
    _set_shapes([h_seq, *last, saved], shapes)
    return h_seq, tuple(last), saved


def backward(
    kind: str,
    inputs: Inputs,
    saved: tuple[Tensor, Tensor],
    upstream: Sequence[Tensor],
    *,
    xla: bool,
) -> tuple[Tensor, ...]:
    """The gradients of x, the states, W, U and the biases.

    Args:
        kind: one of `KINDS`.
        inputs: those of `forward`.
        saved: h_seq and what `forward` saved.
        upstream: gradients of h_seq and of the last states.
        xla: as for `forward`.
    """
    x, states, weights, flags = inputs
    number = KINDS[kind].number
    biases = [weights[1].shape[1:]] * KINDS[kind].biases
    shapes = [t.shape for t in (x, *states, *weights)] + biases
    if xla:
        operands = [x, *states, *weights, *flags, *saved, *upstream]
        return tuple(_in_xla(kind, "backward", operands, shapes))
    kernel, recurrent_kernel = weights
    mask, reset = flags
    d_h_seq, *d_last = upstream
    d_x, d_states, *d_weights, d_biases = library().operation("backward")(
        x=x,
        states=states,
        kernel=kernel,
        recurrent_kernel=recurrent_kernel,
        mask=mask,
        reset=reset,
        h_seq=saved[0],
        saved=saved[1],
        d_h_seq=d_h_seq,
        d_last=d_last,
        kind=number,
        M=KINDS[kind].biases,
    )
    gradients = (d_x, *d_states, *d_weights, *d_biases)
    _set_shapes(gradients, shapes)
    return gradients


def _in_xla(
    kind: str, direction: str, operands: list[Tensor], shapes: Sequence[Sequence]
) -> list[Tensor]:
    """Calls a target of XLA, whose results have the dtype of the first operand.

    Args:
        kind: one of `KINDS`.
        direction: "forward" or "backward".
        operands: the first one is x.
        shapes: shapes of the results, with None where x has None.
    """
    dtype = operands[0].dtype
    types = tuple(
        Array(
            tuple(
                (i, axis) if size is None else size for axis, size in enumerate(t.shape)
            ),
            ELEMENTS[t.dtype],
        )
        for i, t in enumerate(operands)
    )
    # Only the numbers of rows and of steps may be unknown: those of x.
    results = tuple(
        Array(
            tuple((0, axis) if size is None else size for axis, size in enumerate(s)),
            ELEMENTS[dtype],
        )
        for s in shapes
    )
    text = custom_call(f"bptt_keras_{kind}_{direction}", types, results)
    return call_in_xla(text, operands, [(tf.TensorShape(s), dtype) for s in shapes])


def _set_shapes(tensors: Sequence[Tensor], shapes: Sequence[Sequence]) -> None:
    """Says what TensorFlow does not know of the results of the operations."""
    for tensor, shape in zip(tensors, shapes, strict=True):
        tensor.set_shape(shape)
