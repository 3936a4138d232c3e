"""The base class of rules that bound gradients, and what they share."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import keras
import tensorflow as tf

from bptt_keras.types import Tensor

_Rule = TypeVar("_Rule", bound="Clipping")


class Clipping:
    """A rule that bounds the gradients of a model before its optimizer uses them.

    A rule is applied by `ClippedOptimizer`. To write one, override `clip`, and `build`
    if it remembers anything between updates.

    Example:
        import keras, bptt_keras as bk

        @keras.saving.register_keras_serializable(package="mine")
        class Halve(bk.clipping.Clipping):
            def clip(self, gradients, variables):
                return [g / 2 for g in gradients]

        optimizer = bk.clipping.ClippedOptimizer(keras.optimizers.SGD(), Halve())
    """

    def build(self, variables: Sequence[Any], add_variable: Callable[..., Any]) -> None:
        """Creates what the rule remembers, which is saved with the optimizer.

        Args:
            variables: List of the model's trainable variables.
            add_variable: Function `(name, shape=(), dtype="float32") -> variable` that
                creates a variable of zeros.
        """

    def clip(
        self, gradients: Sequence[Tensor], variables: Sequence[Any]
    ) -> list[Tensor]:
        """Bounds the gradients of one update.

        Args:
            gradients: List of float tensors, all of them finite.
            variables: List of the variables that they belong to.

        Returns:
            List of tensors of the same shapes and dtypes.
        """
        raise NotImplementedError

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {}

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Clipping:
        """The rule that `get_config` described."""
        return cls(**config)

    def __repr__(self):
        arguments = ", ".join(f"{k}={v!r}" for k, v in self.get_config().items())
        return f"{type(self).__name__}({arguments})"


def register(rule: type[_Rule]) -> type[_Rule]:
    """Makes a rule known to Keras, for saving."""
    return keras.saving.register_keras_serializable(package="bptt_keras")(rule)


def scale_to(
    gradients: Sequence[Tensor], norm: Tensor, bound: float | Tensor
) -> list[Tensor]:
    """The gradients times `bound / norm` where `norm` exceeds the bound."""
    # Where it does not, the factor is exactly 1.
    factor = bound / tf.maximum(norm, bound)
    return [g * tf.cast(factor, g.dtype) for g in gradients]
