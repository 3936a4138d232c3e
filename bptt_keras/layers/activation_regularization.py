"""Losses on the size of activations, and on how fast they change."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from bptt_keras.keras_internals import mask_of
from bptt_keras.layers._flags import checked_mask, checked_reset
from bptt_keras.types import Tensor


@keras.saving.register_keras_serializable(package="bptt_keras")
class ActivationRegularization(keras.layers.Layer):
    """Returns its inputs and, in training, adds losses on their size and change.

        AR  = alpha * mean of h_t^2                 over units, rows and valid steps
        TAR = beta * mean of (h_t - h_{t-1})^2      over units, rows and valid pairs

    A pair is valid if both of its steps are and there is no reset between them. Means
    over nothing are 0. In truncated backpropagation they are taken over one window:
    pairs that span two windows do not count, old timesteps of overlapping windows do.
    A mean over some of the rows or timesteps would have a different value, so the model
    runs in one shard and `recompute` is refused. Inference adds nothing.

    Args:
        alpha: weight of AR, at least 0. Default: 0.
        beta: weight of TAR, at least 0. Default: 0.
        **kwargs: `name`, `dtype` and `trainable`.

    Call arguments:
        inputs: `(batch, time, ...)` floats.
        training: True adds the losses.
        mask: `(batch, time)` booleans, False where a step is not valid. Default: the
            mask attached to the inputs. `bk.TruncatedBPTT` adds the lengths and masks
            that it gets with the data.
        reset: `(batch, time)` booleans, True where a row starts afresh. Default: None;
            `bk.TruncatedBPTT` passes its resets.

    Returns:
        The inputs.

    Raises:
        TypeError: `reset` is not boolean.
        ValueError: `alpha` or `beta` is not a number >= 0; the inputs have no time
            axis; `reset` or `mask` is not `(batch, time)`.

    Example:

        layer = bk.layers.ActivationRegularization(alpha=2.0, beta=1.0)
        h = np.array([[[0.0], [1.0], [3.0]]], "float32")
        layer(h, training=True)
        np.testing.assert_allclose(layer.losses, [2 * 10 / 3, (1 + 4) / 2])

    Source: Merity, McCann & Socher, "Revisiting Activation Regularization for Language
    RNNs" (2017). There AR applies to the outputs after dropout and TAR to those before:
    use one layer on each side. Here norms are mean squares over valid steps only.
    """

    def __init__(self, alpha: float = 0.0, beta: float = 0.0, **kwargs: Any):
        super().__init__(**kwargs)
        self.alpha = _checked("alpha", alpha)
        self.beta = _checked("beta", beta)
        self.supports_masking = True

    def build(self, inputs_shape: tuple[int | None, ...]) -> None:
        if len(inputs_shape) < 3:
            raise ValueError(
                "`inputs` must have a time axis, shape (batch, time, ...). Received: "
                f"inputs of shape {tuple(inputs_shape)}. Set `return_sequences=True` "
                "in the layer before."
            )

    def call(
        self,
        inputs: Tensor,
        training: bool = False,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> Tensor:
        if mask is None:
            # Keras passes it itself only to calls without a second tensor.
            mask = mask_of(inputs)
        if training:
            self._add_losses(
                inputs, checked_mask(mask), checked_reset(reset, inputs.shape)
            )
        return inputs

    def _add_losses(self, inputs, mask, reset):
        # Squares overflow in half precision.
        h = inputs if inputs.dtype == tf.float64 else tf.cast(inputs, tf.float32)
        if mask is None:
            mask = tf.ones(tf.shape(h)[:2], tf.bool)
        if self.alpha:
            self.add_loss(self.alpha * _mean_square(h, mask))
        if self.beta:
            pairs = mask[:, 1:] & mask[:, :-1]
            if reset is not None:
                pairs &= ~reset[:, 1:]
            self.add_loss(self.beta * _mean_square(h[:, 1:] - h[:, :-1], pairs))

    def compute_output_shape(
        self, inputs_shape: tuple[int | None, ...]
    ) -> tuple[int | None, ...]:
        return inputs_shape

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "alpha": self.alpha, "beta": self.beta}


def _mean_square(values: Tensor, valid: Tensor) -> Tensor:
    """Mean of squares over the steps where `valid` `(batch, time)` is True, or 0."""
    shape = tf.concat([tf.shape(valid), [1] * (values.shape.rank - 2)], axis=0)
    valid = tf.reshape(valid, shape)
    # Not a product: an invalid step may contain NaN.
    values = tf.where(valid, values, tf.zeros_like(values))
    units = tf.size(values[:1, :1])
    count = tf.reduce_sum(tf.cast(valid, values.dtype)) * tf.cast(units, values.dtype)
    return tf.math.divide_no_nan(tf.reduce_sum(values * values), count)


def _checked(name: str, weight: float) -> float:
    number = isinstance(weight, int | float) and not isinstance(weight, bool)
    if not number or not 0 <= weight < float("inf"):
        raise ValueError(
            f"`{name}` must be a number of at least 0. Received: {name}={weight!r}."
        )
    return float(weight)
