"""Limits kernels to first derivatives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NoReturn

import tensorflow as tf

from bptt_keras.types import Tensor


def only_once(
    gradients: Sequence[Tensor], arguments: Sequence[Tensor]
) -> tuple[Tensor, ...]:
    """Pass `gradients` on, and refuse to be differentiated again.

    To an outer tape, what a custom gradient saved in its forward pass is a constant:
    without this check, second derivatives would silently be wrong.

    Args:
        gradients: the gradients of a kernel.
        arguments: the tensors that they depend on.
    """

    @tf.custom_gradient
    def pass_on(*tensors: Tensor) -> tuple[Any, Any]:
        def refuse(*_: Tensor) -> NoReturn:
            raise NotImplementedError(
                "The fused recurrences have first derivatives only. For second ones "
                "use the Keras layer of the same name: it takes the same weights."
            )

        return tuple(tf.identity(t) for t in tensors[: len(gradients)]), refuse

    return pass_on(*gradients, *arguments)
