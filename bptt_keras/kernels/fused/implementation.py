"""The arguments of a fused recurrence, and the interface of what computes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from bptt_keras.types import Tensor


class Arguments(NamedTuple):
    """The arguments of a recurrence.

    Fields:
        x: `(time, batch, features)` floats.
        states: the states before the first step, each `(batch, units)`; the first one
            is h.
        kernel: `(features, gates * units)`, W.
        recurrent_kernel: `(units, gates * units)`, U.
        biases: b and, if the equations have one, b_r, each `(gates * units,)`.
        mask: `(time, batch)` booleans, False where a row has no input, or None.
        reset: `(time, batch)` booleans, True where a row starts afresh, or None.
    """

    x: Tensor
    states: tuple[Tensor, ...]
    kernel: Tensor
    recurrent_kernel: Tensor
    biases: tuple[Tensor, ...]
    mask: Tensor | None
    reset: Tensor | None


class Implementation(Protocol):
    """Computes a recurrence. Outputs are `(h_seq, *states)`, the states at the end."""

    def forward(self, given: Arguments) -> tuple[Tensor, ...]:
        """The outputs; nothing is saved for a backward pass."""

    def forward_saving(self, given: Arguments) -> tuple[tuple[Tensor, ...], Any]:
        """The outputs, and what `backward` needs."""

    def backward(
        self, given: Arguments, saved: Any, upstream: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """Gradients of x, the states, W, U and the biases.

        Args:
            given: the arguments of the forward pass.
            saved: what `forward_saving` returned besides the outputs.
            upstream: gradients of the outputs.
        """
