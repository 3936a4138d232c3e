"""Keeps updates that are not finite away from optimizers that would apply them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from bptt_keras.training.clipping.optimizer import (
    ClippedOptimizer,
    clipped_norm,
    find_clipped,
)
from bptt_keras.types import Tensor


class Guard(ClippedOptimizer):
    """Skips updates that are not finite, for any optimizer that does not.

    Args:
        inner_optimizer: Keras optimizer; it may have a `loss_scale_factor`.
    """

    def __init__(self, inner_optimizer: keras.optimizers.Optimizer):
        super().__init__(inner_optimizer)

    def _check_inner(self, optimizer: Any) -> None:
        """Every optimizer will do: there are no rules that a scale would mislead."""

    def scale_loss(self, loss: Tensor) -> Tensor:
        """As the inner optimizer does."""
        return self.inner_optimizer.scale_loss(loss)

    def _update(
        self, gradients: Sequence[Tensor], variables: Sequence[Any], norm: Tensor
    ) -> None:
        self.inner_optimizer.apply(gradients, variables)
        factor = self.inner_optimizer.loss_scale_factor or 1.0
        gradients = [gradient / factor for gradient in gradients]
        norm = norm / factor
        self._note(norm, clipped_norm(self.inner_optimizer, gradients, norm))


def guarded(optimizer: Any, *, skips: bool, known: Any = None) -> Any:
    """An optimizer that skips updates that are not finite, around one that does not.

    Args:
        optimizer: Keras optimizer, or `None`.
        skips: Whether updates that are not finite shall be skipped.
        known: What an earlier call returned: if it is for the same optimizer, it goes
            on with its counters.

    Returns:
        A `Guard`; or the optimizer itself if nothing shall be skipped, or if it decides
        about such updates, as a `ClippedOptimizer` and a `LossScaleOptimizer` do.

    Raises:
        ValueError: If a `ClippedOptimizer` skips what shall not be skipped.
    """
    clipped = find_clipped(optimizer)
    if clipped is not None and clipped.skip_nonfinite and not skips:
        raise ValueError(
            "The optimizer skips updates that are not finite, and the trainer was told "
            "not to. Received: skip_nonfinite=False of `TruncatedBPTT`, and True of "
            "`ClippedOptimizer`. Make both the same."
        )
    scales = isinstance(optimizer, keras.optimizers.LossScaleOptimizer)
    if optimizer is None or clipped is not None or scales or not skips:
        return optimizer
    if isinstance(known, Guard) and known.inner_optimizer is optimizer:
        return known
    return Guard(optimizer)
