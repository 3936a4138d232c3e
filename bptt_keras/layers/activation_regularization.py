"""Penalties on the size of activations, and on their changes from step to step."""

import keras
import tensorflow as tf

from bptt_keras.layers._flags import checked_mask


@keras.saving.register_keras_serializable(package="bptt_keras")
class ActivationRegularization(keras.layers.Layer):
    """Hands its inputs on, and adds a loss in training.

        AR   alpha * mean(h_t^2)                over valid (row, step) pairs and units
        TAR  beta * mean((h_t - h_{t-1})^2)     over pairs of valid neighbours

    In truncated backpropagation the means are those of one window; its first step has
    no neighbour before it. AWD-LSTM has AR after the last dropout and TAR before it:
    then use two of these layers.

    Args:
        alpha: Weight of AR, a number >= 0. Default: 0.
        beta: Weight of TAR, a number >= 0. Default: 0.
        **kwargs: `name`, `dtype` and `trainable`.

    Call arguments:
        inputs: `(batch, time, ...)` floats.
        training: True adds the loss.
        mask: `(batch, time)` booleans, False where a step does not count. Default: the
            mask that the inputs carry.

    Returns:
        `inputs`.

    Raises:
        ValueError: If a weight is negative or no number.

    Example:
        layer = bk.layers.ActivationRegularization(alpha=2.0, beta=1.0)
        x = np.array([[[1.0], [3.0]]], "float32")
        assert np.array_equal(layer(x, training=True), x)
        assert [float(loss) for loss in layer.losses] == [2 * 5.0 + 1 * 4.0]

    Source: Merity, McCann & Socher, "Revisiting activation regularization for language
    RNNs" (2017).
    """

    def __init__(self, alpha=0.0, beta=0.0, **kwargs):
        super().__init__(**kwargs)
        for name, value in (("alpha", alpha), ("beta", beta)):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not value >= 0:
                raise ValueError(
                    f"`{name}` must be a number >= 0. Received: {name}={value!r}."
                )
        self.alpha = float(alpha)
        self.beta = float(beta)
        self.supports_masking = True

    def call(self, inputs, training=False, mask=None):
        if training and (self.alpha or self.beta):
            mask = checked_mask(mask)
            h = tf.cast(
                inputs, "float64" if self.compute_dtype == "float64" else "float32"
            )
            valid = tf.ones(tf.shape(h)[:2], h.dtype)
            if mask is not None:
                valid = tf.cast(mask, h.dtype)
            loss = self.alpha * _mean(tf.square(h), valid)
            changes = tf.square(h[:, 1:] - h[:, :-1])
            loss += self.beta * _mean(changes, valid[:, 1:] * valid[:, :-1])
            self.add_loss(loss)
        return inputs

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "alpha": self.alpha, "beta": self.beta}


def _mean(values, valid):
    """Mean over valid `(row, step)` pairs and all other axes; 0 if there are none."""
    by_step = tf.reduce_mean(values, axis=list(range(2, values.shape.rank)))
    total = tf.reduce_sum(tf.math.multiply_no_nan(by_step, valid))
    return tf.math.divide_no_nan(total, tf.reduce_sum(valid))
