"""A fused recurrence as a call of the native library."""

from __future__ import annotations

from collections.abc import Sequence

import tensorflow as tf

from bptt_keras.kernels.fused.implementation import Arguments
from bptt_keras.kernels.native.calls import Inputs, backward, forward
from bptt_keras.kernels.native.checks import check_arguments
from bptt_keras.kernels.native.place import Way
from bptt_keras.tensorflow_internals import unrecorded
from bptt_keras.types import Tensor

_Saved = tuple[Tensor, Tensor]


class Native:
    """An `Implementation` for CPUs.

    The backward pass calls the library in the same way as the forward pass, even if it
    is traced elsewhere: what one saves is what the other reads.

    Args:
        kind: one of `KINDS`.
        way: how the library is called.
    """

    def __init__(self, kind: str, way: Way):
        self._kind = kind
        self._xla = way == "custom call"

    def forward(self, given: Arguments) -> tuple[Tensor, ...]:
        return self._run(given, saves=False)[0]

    def forward_saving(self, given: Arguments) -> tuple[tuple[Tensor, ...], _Saved]:
        return self._run(given, saves=True)

    def backward(
        self, given: Arguments, saved: _Saved, upstream: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        d_h_seq, *d_last = upstream
        with unrecorded():
            d_x, *others = backward(
                self._kind,
                _inputs(given),
                saved,
                (_swapped(d_h_seq), *d_last),
                xla=self._xla,
            )
            return _swapped(d_x), *others

    def _run(
        self, given: Arguments, *, saves: bool
    ) -> tuple[tuple[Tensor, ...], _Saved]:
        check_arguments(self._kind, given)
        # A persistent tape would also need the gradients of the calls.
        with unrecorded():
            h_seq, last, saved = forward(
                self._kind, _inputs(given), given.biases, saves=saves, xla=self._xla
            )
            return (_swapped(h_seq), *last), (h_seq, saved)


def _inputs(given: Arguments) -> Inputs:
    none = tf.zeros((0, 0), tf.bool)
    mask, reset = (
        none if flags is None else _swapped(flags)
        for flags in (given.mask, given.reset)
    )
    weights = (given.kernel, given.recurrent_kernel)
    return Inputs(_swapped(given.x), given.states, weights, (mask, reset))


def _swapped(tensor: Tensor) -> Tensor:
    """With batch and time exchanged; in a program of XLA, two exchanges cancel."""
    return tf.transpose(tensor, (1, 0, *range(2, tensor.shape.rank)))
