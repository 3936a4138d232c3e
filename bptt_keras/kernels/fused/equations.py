"""The definition of a fused recurrence: the equations of a step and its derivative."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from bptt_keras.types import Tensor


class Slopes(NamedTuple):
    """Gradients that a step passes back, each with `features * batch` numbers.

    Fields:
        sums: gradients of the gates where p and m are only added.
        p: gradients of the other gates, with respect to p.
        m: gradients of the other gates, with respect to m.
        states: gradients of the states before the step, except through the product m;
            None for none.
    """

    sums: tuple[Tensor, ...]
    states: tuple[Tensor | None, ...]
    p: tuple[Tensor, ...] = ()
    m: tuple[Tensor, ...] = ()


class Equations(abc.ABC):
    """The step of a recurrence with states h, ..., and its derivative.

        p_t = x_t W + b;   m_t = h_{t-1} U (+ b_r)
        h_t, ... = step((p_t + m_t,), (h_{t-1}, ...))       if `joined`
        h_t, ... = step((p_t, m_t), (h_{t-1}, ...))         else

    Masks and resets are not part of it: the implementation handles them.

    Attributes:
        scales: for each gate, the factor by which its weights are multiplied first, so
            that one tanh also computes gates with a sigmoid.
        joined: whether p and m are only added, in all gates.
        native: the name of the recurrence in the native library, None if it lacks it.
    """

    scales: ClassVar[tuple[float, ...]] = (1.0,)
    joined: ClassVar[bool] = True
    native: str | None = None

    @abc.abstractmethod
    def step(
        self, sums: tuple[Tensor, ...], states: tuple[Tensor, ...], *, axis: int
    ) -> tuple[tuple[Tensor, ...], tuple[tuple[Tensor, ...], ...]]:
        """One step.

        Args:
            sums: `(p + m,)`, or `(p, m)`, all gates along `axis`, in at least float32.
            states: the states before the step.
            axis: the axis of the features: 0 for vectors of `features * batch`
                numbers, -1 for `(batch, features)`.

        Returns:
            `(states, kept)`: the new states, and what the derivative needs from this
            step besides h: for each saved sequence, a tuple of its parts.
        """

    def widths(self, units: int) -> tuple[int, ...]:
        """Numbers of features of the sequences that are saved besides h."""
        return ()

    def read(
        self, h: Tensor, h_prev: Tensor, kept: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """Selects the saved sequences that the derivative reads.

        Args:
            h: `(units, time, batch)`, h after each step.
            h_prev: `(units, time, batch)`, h before each step, after resets.
            kept: the sequences of what `step` returned as `kept`.
        """
        return tuple(kept)

    @abc.abstractmethod
    def derivative(
        self, read: Sequence[Tensor], d_states: tuple[Tensor, ...]
    ) -> Slopes:
        """The gradients of a step.

        Args:
            read: the step's values in each sequence of `read`, as vectors, in the dtype
                of the inputs.
            d_states: gradients of the states after the step, vectors, in at least
                float32.
        """
