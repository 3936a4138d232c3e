"""Clipping at a percentile of the norms seen so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from bptt_keras.arguments import real, whole
from bptt_keras.training.clipping.base import Clipping, register, scale_to
from bptt_keras.training.clipping.norms import global_norm
from bptt_keras.types import Tensor


@register
class AutoClip(Clipping):
    """Bounds the norm of the gradient by a percentile of the norms seen so far.

        bound = the p-th percentile of ||g_1||, ..., ||g_t||
        g_t <- g_t * bound / ||g_t||     if ||g_t|| > bound

    Norms are those before clipping, including the current one, so the first update is
    not clipped; percentiles are interpolated linearly between norms. With the paper's
    value, 10, nine updates in ten are clipped: nearly all steps have the same length,
    as with normalised gradients.

    Args:
        percentile: From 0 to 100. Default: 10.
        history: Number of latest norms that are remembered, an integer >= 1. The paper
            keeps all. Default: 1000.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If one is out of range.

    Example:
        import keras, bptt_keras as bk

        rule = bk.clipping.AutoClip(percentile=50)
        optimizer = bk.clipping.ClippedOptimizer(keras.optimizers.Adam(), rule)

    Source: Seetharaman, Wichern, Pardo & Le Roux, "AutoClip: adaptive gradient clipping
    for source separation networks" (2020).
    """

    def __init__(self, percentile: float = 10.0, history: int = 1000):
        self.percentile = real("percentile", percentile, least=0, most=100)
        self.history = whole("history", history, least=1, unit="norms")

    def build(self, variables: Sequence[Any], add_variable: Callable[..., Any]) -> None:
        """Creates the history."""
        self._norms = add_variable("norms", (self.history,))
        self._count = add_variable("count", dtype="int64")

    def clip(
        self, gradients: Sequence[Tensor], variables: Sequence[Any]
    ) -> list[Tensor]:
        """Bounds the gradients of one update; see `Clipping.clip`."""
        norm = global_norm(gradients)
        place = tf.convert_to_tensor(self._count) % self.history
        here = tf.range(self.history, dtype=tf.int64) == place
        norms = tf.where(here, norm, tf.convert_to_tensor(self._norms))
        count = tf.convert_to_tensor(self._count) + 1
        self._norms.assign(norms)
        self._count.assign(count)
        seen = tf.minimum(count, self.history)
        return scale_to(gradients, norm, self._bound(norms, seen))

    def _bound(self, norms: Tensor, seen: Tensor) -> Tensor:
        """The percentile of the first `seen` norms."""
        unseen = tf.range(self.history, dtype=tf.int64) >= seen
        ordered = tf.sort(tf.where(unseen, norms.dtype.max, norms))
        rank = tf.cast(seen - 1, tf.float32) * (self.percentile / 100)
        low = tf.cast(tf.floor(rank), tf.int64)
        high = tf.minimum(low + 1, seen - 1)
        above = rank - tf.floor(rank)
        return (1 - above) * tf.gather(ordered, low) + above * tf.gather(ordered, high)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"percentile": self.percentile, "history": self.history}
