"""A causal convolution along time, with a carried state."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from zoo.layers.types import Shape, State, Tensor


@keras.saving.register_keras_serializable(package="zoo")
class CausalConvolution(keras.layers.Layer):
    """A convolution along time in which each output depends only on the past.

        y_t = b + sum over k of W_k x_(t - k),      k = 0 ... n - 1

    with n the kernel size, and zeros before the first timestep. The last n - 1 inputs
    are its state, so a sequence may be cut anywhere. Padding must be at the end of a
    row: masked timesteps before valid ones are read as zeros.

    Args:
        filters: Number of outputs per timestep, at least 1.
        kernel_size: Number of timesteps that each output depends on, at least 1.
        **kwargs: `name` and `dtype`.

    Call arguments:
        inputs: Floats `(batch, time, features)`.
        mask: Booleans `(batch, time)`, False where a timestep is padding; its output
            repeats the one before. Default: no padding.

    Returns:
        Floats `(batch, time, filters)`.

    Raises:
        ValueError: If a size is less than 1.

    Example:
        from zoo.layers import CausalConvolution

        layer = CausalConvolution(4, kernel_size=3)
        series = np.random.default_rng(0).normal(size=(1, 9, 2)).astype("float32")
        outputs = layer(series)
        # The first timestep has none before it: the kernel's last two rows are its own.
        first = series[:, 0] @ layer.kernel[-2:]
        np.testing.assert_allclose(outputs[:, 0], first, rtol=1e-4, atol=1e-6)
    """

    def __init__(self, filters: int, kernel_size: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        for name, size in (("filters", filters), ("kernel_size", kernel_size)):
            if size < 1:
                raise ValueError(
                    f"`{name}` must be at least 1. Received: {name}={size}"
                )
        self.filters = filters
        self.kernel_size = kernel_size
        self.supports_masking = True

    def build(self, inputs_shape: Shape) -> None:
        self.features = inputs_shape[-1]
        # The rows of the oldest timestep come first.
        self.kernel = self.add_weight(
            shape=(self.kernel_size * self.features, self.filters),
            initializer="he_uniform",
            name="kernel",
        )
        self.bias = self.add_weight(
            shape=(self.filters,), initializer="zeros", name="bias"
        )

    def get_initial_state(self, batch_size: Tensor | int) -> State:
        """Zeros, for the inputs and the output before the first timestep."""
        return {
            "past": tf.zeros(
                (batch_size, self.kernel_size - 1, self.features), self.compute_dtype
            ),
            "output": tf.zeros((batch_size, self.filters), self.compute_dtype),
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
        inputs = tf.cast(inputs, self.compute_dtype)
        if mask is not None:
            # Not a product: padding may be NaN.
            inputs = tf.where(mask[..., None], inputs, tf.zeros_like(inputs))
        read = tf.concat([state["past"], inputs], axis=1)
        steps, before = tf.shape(inputs)[1], self.kernel_size - 1
        seen = [read[:, k : k + steps] for k in range(self.kernel_size)]
        if reset is not None:
            # The number of resets up to each timestep: inputs with a different number
            # are forgotten.
            number = tf.cumsum(tf.cast(reset, tf.int32), axis=1)
            number = tf.pad(number, [[0, 0], [before, 0]])
            seen = [
                _where_equal(number[:, k : k + steps], number[:, before:], x)
                for k, x in enumerate(seen)
            ]
            read = _where_equal(number, number[:, -1:], read)
        # One matrix product: XLA's gradient of a convolution is slow on a CPU.
        outputs = tf.matmul(tf.concat(seen, axis=-1), self.kernel) + self.bias
        if mask is None:
            # The slice loses its static length if that of the inputs is unknown.
            past = tf.ensure_shape(read[:, steps:], state["past"].shape)
            return outputs, {"past": past, "output": outputs[:, -1]}
        count = tf.reduce_sum(tf.cast(mask, tf.int32), axis=1)
        last = tf.gather(outputs, tf.maximum(count - 1, 0), axis=1, batch_dims=1)
        last = tf.where((count > 0)[:, None], last, state["output"])
        outputs = tf.where(mask[..., None], outputs, last[:, None])
        places = count[:, None] + tf.range(before)
        past = tf.gather(read, places, axis=1, batch_dims=1)
        past = tf.ensure_shape(past, state["past"].shape)
        return outputs, {"past": past, "output": last}

    def call(self, inputs: Tensor, mask: Tensor | None = None) -> Tensor:
        state = self.get_initial_state(tf.shape(inputs)[0])
        return self.call_with_state(inputs, state, mask=mask)[0]

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "filters": self.filters,
            "kernel_size": self.kernel_size,
        }

    def compute_output_shape(self, inputs_shape: Shape) -> Shape:
        return (*inputs_shape[:-1], self.filters)


def _where_equal(numbers: Tensor, others: Tensor, values: Tensor) -> Tensor:
    """Values `(batch, time, features)` where two `(batch, time)` are equal, else 0."""
    return tf.where((numbers == others)[..., None], values, tf.zeros_like(values))
