"""Clipping by the norm of the whole gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bptt_keras.arguments import real
from bptt_keras.training.clipping.base import Clipping, register, scale_to
from bptt_keras.training.clipping.norms import global_norm
from bptt_keras.types import Tensor


@register
class GlobalNorm(Clipping):
    """Bounds the norm of all gradients taken as one vector.

        g <- g * max_norm / ||g||     if ||g|| > max_norm

    The direction of the step is kept. This is what `global_clipnorm` of Keras'
    optimizers does.

    Args:
        max_norm: Number > 0.

    Raises:
        TypeError: If `max_norm` is not a number.
        ValueError: If it is not above 0.

    Example:
        import keras, bptt_keras as bk

        rule = bk.clipping.GlobalNorm(1.0)
        optimizer = bk.clipping.ClippedOptimizer(keras.optimizers.Adam(), rule)

    Source: Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural
    networks" (2013), algorithm 1.
    """

    def __init__(self, max_norm: float):
        self.max_norm = real("max_norm", max_norm, above=0)

    def clip(
        self, gradients: Sequence[Tensor], variables: Sequence[Any]
    ) -> list[Tensor]:
        """Bounds the gradients of one update; see `Clipping.clip`."""
        return scale_to(gradients, global_norm(gradients), self.max_norm)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"max_norm": self.max_norm}
