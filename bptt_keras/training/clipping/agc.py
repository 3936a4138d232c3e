"""Clipping of each unit's gradient in proportion to its weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tensorflow as tf

from bptt_keras.arguments import real
from bptt_keras.training.clipping.base import Clipping, register, scale_to
from bptt_keras.types import Tensor


@register
class AGC(Clipping):
    """Adaptive gradient clipping: bounds each unit's step in proportion to its weights.

        G_i <- clip_factor * max(||W_i||, eps) / ||G_i|| * G_i
                                  if ||G_i|| > clip_factor * max(||W_i||, eps)

    where `W_i` are the weights that lead to unit `i` and `G_i` their gradient: a column
    of a kernel `(inputs, units)`, a filter of a convolution (all axes but the last). A
    vector, such as a bias, counts as one unit.

    Args:
        clip_factor: Largest ratio of the norms, a number > 0. Default: 0.01.
        eps: Lower bound on the norm of the weights, a number > 0, so that weights can
            move away from zero. Default: 1e-3.
        exclude: Substrings of the paths of variables that are not clipped, a string or
            a sequence of strings. The paper excludes the last layer. Default: none.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If one is out of range, or an entry of `exclude` occurs in no path
            (when the optimizer is built).

    Example:
        import keras, bptt_keras as bk

        rule = bk.clipping.AGC(0.01, exclude="dense")
        optimizer = bk.clipping.ClippedOptimizer(keras.optimizers.SGD(), rule)

    Source: Brock, De, Smith & Simonyan, "High-performance large-scale image recognition
    without normalization" (2021), equation 3.
    """

    def __init__(
        self,
        clip_factor: float = 0.01,
        eps: float = 1e-3,
        exclude: str | Sequence[str] = (),
    ):
        self.clip_factor = real("clip_factor", clip_factor, above=0)
        self.eps = real("eps", eps, above=0)
        parts = (exclude,) if isinstance(exclude, str) else tuple(exclude)
        if not all(isinstance(part, str) and part for part in parts):
            raise TypeError(
                f"`exclude` must be a string or a sequence of strings, parts of the "
                f"paths of variables. Received: exclude={exclude!r}."
            )
        self.exclude = parts

    def build(self, variables: Sequence[Any], add_variable: Callable[..., Any]) -> None:
        """Checks that the excluded variables exist."""
        paths = [_path(variable) for variable in variables]
        for part in self.exclude:
            if not any(part in path for path in paths):
                raise ValueError(
                    f"`exclude` names no variable of this model. Received: {part!r}; "
                    f"the paths are {paths}."
                )

    def clip(
        self, gradients: Sequence[Tensor], variables: Sequence[Any]
    ) -> list[Tensor]:
        """Bounds the gradients of one update; see `Clipping.clip`."""
        return [
            gradient
            if any(part in _path(variable) for part in self.exclude)
            else self._clipped(gradient, variable)
            for gradient, variable in zip(gradients, variables, strict=True)
        ]

    def _clipped(self, gradient: Tensor, variable: Any) -> Tensor:
        weights = tf.cast(tf.convert_to_tensor(variable), tf.float32)
        bound = self.clip_factor * tf.maximum(_unit_norms(weights), self.eps)
        norms = _unit_norms(tf.cast(gradient, tf.float32))
        return scale_to([gradient], norms, bound)[0]

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {
            "clip_factor": self.clip_factor,
            "eps": self.eps,
            "exclude": list(self.exclude),
        }


def _path(variable: Any) -> str:
    return getattr(variable, "path", variable.name)


def _unit_norms(tensor: Tensor) -> Tensor:
    axes = None if tensor.shape.rank < 2 else list(range(tensor.shape.rank - 1))
    return tf.sqrt(tf.reduce_sum(tf.square(tensor), axis=axes, keepdims=True))
