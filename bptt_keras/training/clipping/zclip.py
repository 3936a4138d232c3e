"""Clipping of norms that stand out from the previous ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from bptt_keras.arguments import real, whole
from bptt_keras.training.clipping.base import Clipping, register, scale_to
from bptt_keras.training.clipping.norms import global_norm
from bptt_keras.types import Tensor


@register
class ZClip(Clipping):
    """Bounds the norm of a gradient that stands out from the previous ones.

        z = (||g|| - mu) / (sigma + eps)
        bound = mu + threshold^2 / z * sigma
        g <- g * bound / ||g||     if z > threshold

    `mu` and `sigma^2` are moving averages of the norm and of its squared distance from
    `mu`. They start as the mean and variance of the first `warmup` norms, during which
    nothing is clipped. Afterwards they average the norms after clipping, so that a
    spike hardly moves them:

        mu <- momentum * mu + (1 - momentum) * n
        sigma^2 <- momentum * sigma^2 + (1 - momentum) * (n - mu)^2

    Args:
        threshold: Standard deviations from the mean, a number > 0. Default: 2.5.
        momentum: At least 0 and below 1. Default: 0.97.
        warmup: Updates before the first that may be clipped, an integer >= 1.
            Default: 25.
        max_norm: Bound on the norm that always applies, even during warm-up, a number
            > 0, or `None` (default).
        eps: Number > 0. Default: 1e-6.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If one is out of range.

    Example:
        import keras, bptt_keras as bk

        rule = bk.clipping.ZClip(max_norm=10.0)
        optimizer = bk.clipping.ClippedOptimizer(keras.optimizers.Adam(), rule)

    Source: Kumar, Owen, Chowdhury & Güra, "ZClip: adaptive spike mitigation for LLM
    pre-training" (2025).
    """

    def __init__(
        self,
        threshold: float = 2.5,
        momentum: float = 0.97,
        warmup: int = 25,
        max_norm: float | None = None,
        eps: float = 1e-6,
    ):
        self.threshold = real("threshold", threshold, above=0)
        self.momentum = real("momentum", momentum, least=0, below=1)
        self.warmup = whole("warmup", warmup, least=1, unit="updates")
        if max_norm is not None:
            max_norm = real("max_norm", max_norm, above=0)
        self.max_norm = max_norm
        self.eps = real("eps", eps, above=0)

    def build(self, variables: Sequence[Any], add_variable: Callable[..., Any]) -> None:
        """Creates the averages."""
        self._count = add_variable("count", dtype="int64")
        self._mean = add_variable("mean")
        self._variance = add_variable("variance")

    def clip(
        self, gradients: Sequence[Tensor], variables: Sequence[Any]
    ) -> list[Tensor]:
        """Bounds the gradients of one update; see `Clipping.clip`."""
        norm = global_norm(gradients)
        count, mean, variance = (
            tf.convert_to_tensor(v) for v in (self._count, self._mean, self._variance)
        )
        warm = count >= self.warmup
        deviation = tf.sqrt(variance)
        z = (norm - mean) / (deviation + self.eps)
        stands_out = warm & (z > self.threshold)
        bound = mean + self.threshold**2 / tf.maximum(z, self.threshold) * deviation
        bound = tf.where(stands_out, bound, norm)
        if self.max_norm is not None:
            bound = tf.minimum(bound, self.max_norm)
        clipped = scale_to(gradients, norm, bound)
        self._remember(tf.minimum(norm, bound), count, mean, variance)
        return clipped

    def _remember(
        self, norm: Tensor, count: Tensor, mean: Tensor, variance: Tensor
    ) -> None:
        # During warm-up: running mean and variance of all norms so far.
        share = 1 / tf.cast(count + 1, tf.float32)
        first_mean = mean + share * (norm - mean)
        first_variance = (1 - share) * (variance + share * (norm - mean) ** 2)
        moved_mean = self.momentum * mean + (1 - self.momentum) * norm
        distance = (norm - moved_mean) ** 2
        moved_variance = self.momentum * variance + (1 - self.momentum) * distance
        warm = count >= self.warmup
        self._mean.assign(tf.where(warm, moved_mean, first_mean))
        self._variance.assign(tf.where(warm, moved_variance, first_variance))
        self._count.assign(count + 1)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            "threshold": self.threshold,
            "momentum": self.momentum,
            "warmup": self.warmup,
            "max_norm": self.max_norm,
            "eps": self.eps,
        }
