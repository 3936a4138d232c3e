"""What a fused recurrence is: the equations of a step, and their derivative."""

from __future__ import annotations

import abc
from collections.abc import Sequence
from typing import ClassVar, NamedTuple

from bptt_keras.types import Tensor


class Slopes(NamedTuple):
    """Gradients that a step passes back, each of `features * batch` numbers.

    Fields:
        sums: those of the gates where p and m are only added.
        p: those of the other gates, with respect to p.
        m: those of the other gates, with respect to m.
        states: what reaches each state before the step other than through the
            product m; None for nothing.
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

    Masks and resets are not part of it: what runs the steps takes care of them.

    Attributes:
        scales: for each gate, the factor that its weights are multiplied by first,
            so that one tanh serves gates with a sigmoid as well.
        joined: whether p and m are only ever added, in all gates.
    """

    scales: ClassVar[tuple[float, ...]] = (1.0,)
    joined: ClassVar[bool] = True

    @abc.abstractmethod
    def step(
        self, sums: tuple[Tensor, ...], states: tuple[Tensor, ...], *, axis: int
    ) -> tuple[tuple[Tensor, ...], tuple[tuple[Tensor, ...], ...]]:
        """One step.

        Args:
            sums: `(p + m,)`, or `(p, m)`, all gates along `axis`, in float32 at least.
            states: those before the step.
            axis: the one along which features lie: 0 for vectors of `features *
                batch` numbers, -1 for `(batch, features)`.

        Returns:
            `(states, kept)`: the new states; and what the derivative needs of this
            step beside h, a tuple of parts for each sequence that is saved.
        """

    def widths(self, units: int) -> tuple[int, ...]:
        """Numbers of features of the sequences that are saved beside h."""
        return ()

    def read(
        self, h: Tensor, h_prev: Tensor, kept: Sequence[Tensor]
    ) -> tuple[Tensor, ...]:
        """The sequences that the derivative reads, of those that were saved.

        Args:
            h: `(units, time, batch)`, h after each step.
            h_prev: `(units, time, batch)`, h before each step, after resets.
            kept: what `step` has kept.
        """
        return tuple(kept)

    @abc.abstractmethod
    def derivative(
        self, read: Sequence[Tensor], d_states: tuple[Tensor, ...]
    ) -> Slopes:
        """The gradients of a step.

        Args:
            read: a step of each sequence of `read`, as vectors, in the dtype of the
                inputs.
            d_states: gradients of the states after the step, vectors, in float32 at
                least.
        """
