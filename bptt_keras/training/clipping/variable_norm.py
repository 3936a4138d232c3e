"""Clipping by the norm of each variable's gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bptt_keras.arguments import real
from bptt_keras.training.clipping.base import Clipping, register, scale_to
from bptt_keras.training.clipping.norms import global_norm
from bptt_keras.types import Tensor


@register
class VariableNorm(Clipping):
    """Bounds the norm of each variable's gradient separately.

        g_v <- g_v * max_norm / ||g_v||     if ||g_v|| > max_norm,  for each variable v

    A single exploding variable does not shorten the steps of the others, so the
    direction of the whole step changes. This is what `clipnorm` of Keras' optimizers
    does.

    Args:
        max_norm: Number > 0.

    Raises:
        TypeError: If `max_norm` is not a number.
        ValueError: If it is not above 0.

    Example:
        import keras, bptt_keras as bk

        rule = bk.clipping.VariableNorm(0.5)
        optimizer = bk.clipping.ClippedOptimizer(keras.optimizers.Adam(), rule)

    Source: Pascanu, Mikolov & Bengio, "On the difficulty of training recurrent neural
    networks" (2013), where all variables are clipped together.
    """

    def __init__(self, max_norm: float):
        self.max_norm = real("max_norm", max_norm, above=0)

    def clip(
        self, gradients: Sequence[Tensor], variables: Sequence[Any]
    ) -> list[Tensor]:
        """Bounds the gradients of one update; see `Clipping.clip`."""
        return [scale_to([g], global_norm([g]), self.max_norm)[0] for g in gradients]

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"max_norm": self.max_norm}
