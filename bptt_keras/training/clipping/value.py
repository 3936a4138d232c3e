"""Clipping of each element of a gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from bptt_keras.arguments import real
from bptt_keras.training.clipping.base import Clipping, register
from bptt_keras.types import Tensor


@register
class Value(Clipping):
    """Bounds each element of the gradients.

        g <- max(-bound, min(bound, g))     for each element

    The direction of the step changes. This is what `clipvalue` of Keras' optimizers
    does.

    Args:
        bound: Number > 0.

    Raises:
        TypeError: If `bound` is not a number.
        ValueError: If it is not above 0.

    Example:
        import keras, bptt_keras as bk

        rule = bk.clipping.Value(0.1)
        optimizer = bk.clipping.ClippedOptimizer(keras.optimizers.Adam(), rule)

    Source: Mikolov, "Statistical language models based on neural networks" (2012),
    section 3.2.2.
    """

    def __init__(self, bound: float):
        self.bound = real("bound", bound, above=0)

    def clip(
        self, gradients: Sequence[Tensor], variables: Sequence[Any]
    ) -> list[Tensor]:
        """Bounds the gradients of one update; see `Clipping.clip`."""
        return [tf.clip_by_value(g, -self.bound, self.bound) for g in gradients]

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"bound": self.bound}
