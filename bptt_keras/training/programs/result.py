"""What a compiled program returns for one window."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from bptt_keras.training.measures.averages import Term
from bptt_keras.types import State, Structure, Tensor


class WindowResult(NamedTuple):
    """What a program returns for one window; each sets the fields that it computes.

    Fields:
        state: State after the window, or where the next one starts.
        buffers: New values of the model's buffers.
        ids_valid: `{Embedding layer name: scalar boolean}`.
        outputs: The model's outputs at the new timesteps, or `None` if not needed.
        masks: Flat list of the masks that the model attaches to the outputs, or `None`
            if these are not needed.
        terms: A `Term` for each output that has a loss; empty without targets.
        loss: Scalar: the objective, including regularisation and other `add_loss`
            terms. `None` without targets.
        gradients: One tensor (or `None`) for each trainable variable. If outputs are
            averaged separately: a list of such lists, one for each output and one for
            the losses that the model adds. `None` after a forward pass.
    """

    state: State
    buffers: list[Tensor]
    ids_valid: dict[str, Tensor]
    outputs: Structure = None
    masks: list[Tensor | None] | None = None
    terms: Sequence[Term] = ()
    loss: Tensor | None = None
    gradients: list[Any] | None = None


def counted_if(counts: Tensor, result: WindowResult) -> WindowResult:
    """The result of a window, whose terms weigh nothing if it does not count."""
    terms = [
        term._replace(weight=tf.where(counts, term.weight, 0.0))
        for term in result.terms
    ]
    return result._replace(terms=terms)
