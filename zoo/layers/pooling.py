"""Pooling over the timesteps of a sequence."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from zoo.layers.types import Shape, State, Tensor


@keras.saving.register_keras_serializable(package="zoo")
class MeanAndMax(keras.layers.Layer):
    """Mean and maximum of each feature over a sequence.

        y = (1/n sum_t x_t, max_t x_t),      t = 1 ... n, the timesteps that count

    Sum, count and maximum so far are its state, so a sequence may be cut anywhere: the
    output is then that of all timesteps so far.

    Args:
        **kwargs: `name` and `dtype`.

    Call arguments:
        inputs: Floats `(batch, time, features)`.
        mask: Booleans `(batch, time)`, False where a timestep is padding. Default: no
            padding.

    Returns:
        Floats `(batch, 2 * features)`; zeros for a row without a timestep that counts.

    Example:
        from zoo.layers import MeanAndMax

        series = np.array([[[1.0], [3.0], [9.0]]], "float32")
        mask = np.array([[True, True, False]])
        np.testing.assert_allclose(MeanAndMax()(series, mask=mask), [[2, 3]])
    """

    # Below any value but not infinite, for half precision and finite gradients.
    LEAST = -6e4

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.supports_masking = True

    def build(self, inputs_shape: Shape) -> None:
        self.features = inputs_shape[-1]

    def get_initial_state(self, batch_size: Tensor | int) -> State:
        """The state before the first timestep."""
        return {
            # Half precision cannot count above 2,048.
            "count": tf.zeros((batch_size, 1), "float32"),
            "sum": tf.zeros((batch_size, self.features), "float32"),
            "largest": tf.fill((batch_size, self.features), self.LEAST),
        }

    def call_with_state(
        self,
        inputs: Tensor,
        state: State,
        *,
        training: bool = False,
        mask: Tensor | None = None,
        reset: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """Continues from a state: see `bptt_keras.state.protocol`."""
        x = tf.cast(inputs, "float32")
        counts = tf.ones(tf.shape(x)[:2], tf.bool) if mask is None else mask
        if reset is not None:
            # Timesteps before the last reset of a row are forgotten.
            later = tf.cumsum(
                tf.cast(reset, tf.int32), axis=1, exclusive=True, reverse=True
            )
            counts &= later == 0
            some, fresh = (
                tf.reduce_any(reset, axis=1)[:, None],
                self.get_initial_state(tf.shape(x)[0]),
            )
            state = {k: tf.where(some, fresh[k], state[k]) for k in fresh}
        counts = counts[..., None]
        count = state["count"] + tf.reduce_sum(tf.cast(counts, x.dtype), axis=1)
        total = state["sum"] + tf.reduce_sum(
            tf.where(counts, x, tf.zeros_like(x)), axis=1
        )
        largest = tf.where(counts, x, tf.fill(tf.shape(x), self.LEAST))
        largest = tf.maximum(state["largest"], tf.reduce_max(largest, axis=1))
        outputs = tf.concat(
            [
                total / tf.maximum(count, 1),
                tf.where(count > 0, largest, tf.zeros_like(largest)),
            ],
            axis=-1,
        )
        new = {"count": count, "sum": total, "largest": largest}
        return tf.cast(outputs, self.compute_dtype), new

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        state = self.get_initial_state(tf.shape(inputs)[0])
        return self.call_with_state(inputs, state, mask=mask)[0]

    def compute_mask(self, inputs: Tensor, mask: Tensor | None = None) -> None:
        # The outputs have no time axis.
        return None

    def compute_output_shape(self, inputs_shape: Shape) -> Shape:
        return (inputs_shape[0], 2 * inputs_shape[-1])
