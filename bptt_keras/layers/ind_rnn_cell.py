"""One timestep of an independently recurrent network."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from bptt_keras.types import Tensor


class _AbsoluteClip(keras.constraints.Constraint):
    """Clips weights to [-limit, limit] after each update."""

    def __init__(self, limit: float):
        self.limit = limit

    def __call__(self, weights: Tensor) -> Tensor:
        return keras.ops.clip(weights, -self.limit, self.limit)

    def get_config(self) -> dict[str, Any]:
        return {"limit": self.limit}


@keras.saving.register_keras_serializable(package="bptt_keras")
class IndRNNCell(keras.layers.SimpleRNNCell):
    """One timestep of `IndRNN`, for `keras.layers.RNN` and stacks of cells.

        h' = activation(x W + u * h + b)

    Args:
        units: positive integer, the size of h.
        activation: Default: "relu".
        use_bias: whether there is b. Default: True.
        kernel_initializer: of W. Default: "glorot_uniform".
        recurrent_initializer: of u. Default: None, uniform from 0 to 1.
        bias_initializer: of b. Default: "zeros".
        kernel_regularizer: of W. Default: None.
        recurrent_regularizer: of u. Default: None.
        bias_regularizer: of b. Default: None.
        kernel_constraint: of W. Default: None.
        bias_constraint: of b. Default: None.
        recurrent_clip: positive float, |u| <= recurrent_clip after each update.
            Default: None, no bound. The paper uses 2^(1/T) with relu, where T is the
            number of timesteps that gradients flow through: the window.
        **kwargs: `name`, `dtype` and `trainable`.

    Call arguments:
        inputs: `(batch, features)` floats.
        states: list of h, `(batch, units)`.
        training: boolean; has no effect here.

    Returns:
        `(h', [h'])`, `(batch, units)`.

    Raises:
        ValueError: `units` or `recurrent_clip` is not positive.

    Example:

        cell = bk.layers.IndRNNCell(4, recurrent_clip=1.01)
        h, states = cell(np.ones((2, 3), "float32"), cell.get_initial_state(2))

    Source: Li et al., "Independently Recurrent Neural Network (IndRNN): Building A
    Longer and Deeper RNN" (2018).
    """

    def __init__(
        self,
        units: int,
        activation: Any = "relu",
        *,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = None,
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        recurrent_clip: float | None = None,
        **kwargs: Any,
    ):
        if recurrent_clip is not None and not recurrent_clip > 0:
            raise ValueError(
                "`recurrent_clip` must be positive, or None for no bound. Received: "
                f"recurrent_clip={recurrent_clip!r}."
            )
        if recurrent_initializer is None:
            recurrent_initializer = keras.initializers.RandomUniform(0.0, 1.0)
        super().__init__(
            units,
            activation=activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        self.recurrent_clip = recurrent_clip
        if recurrent_clip is not None:
            self.recurrent_constraint = _AbsoluteClip(recurrent_clip)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.kernel = self.add_weight(
            shape=(input_shape[-1], self.units),
            name="kernel",
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
            constraint=self.kernel_constraint,
        )
        self.recurrent_kernel = self.add_weight(
            shape=(self.units,),
            name="recurrent_kernel",
            initializer=self.recurrent_initializer,
            regularizer=self.recurrent_regularizer,
            constraint=self.recurrent_constraint,
        )
        self.bias = None
        if self.use_bias:
            self.bias = self.add_weight(
                shape=(self.units,),
                name="bias",
                initializer=self.bias_initializer,
                regularizer=self.bias_regularizer,
                constraint=self.bias_constraint,
            )

    def call(
        self, inputs: Tensor, states: list[Tensor], training: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        (h_prev,) = states
        x = tf.matmul(inputs, tf.convert_to_tensor(self.kernel))
        if self.bias is not None:
            x += tf.convert_to_tensor(self.bias)
        h = self.activation(x + tf.convert_to_tensor(self.recurrent_kernel) * h_prev)
        return h, [h]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for absent in ("recurrent_constraint", "dropout", "recurrent_dropout", "seed"):
            del config[absent]
        return {**config, "recurrent_clip": self.recurrent_clip}
