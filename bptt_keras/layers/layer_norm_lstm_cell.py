"""One timestep of an LSTM with layer normalisation."""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from bptt_keras.layers._forget_gate import check_forget_gate
from bptt_keras.types import Tensor


def normalise(x: Tensor, gain: Tensor, bias: Tensor | None, epsilon: float) -> Tensor:
    """`LN(x) * gain + bias` along the last axis, in float32 if `x` is in 16 bits."""
    wide = x if x.dtype == tf.float64 else tf.cast(x, tf.float32)
    mean, variance = tf.nn.moments(wide, axes=[-1], keepdims=True)
    normal = (wide - mean) * tf.math.rsqrt(variance + epsilon)
    normal *= tf.cast(gain, wide.dtype)
    if bias is not None:
        normal += tf.cast(bias, wide.dtype)
    return tf.cast(normal, x.dtype)


@keras.saving.register_keras_serializable(package="bptt_keras")
class LayerNormLSTMCell(keras.layers.LSTMCell):
    """One timestep of `LayerNormLSTM`, for `keras.layers.RNN` and stacks of cells.

        z = LN(x W) * a_x + LN(h U) * a_h + b,   parts i, f, g, o
        c' = sigmoid(z_f) * c + sigmoid(z_i) * tanh(z_g)
        h' = sigmoid(z_o) * tanh(LN(c') * a_c + b_c)

    Args:
        units: positive integer, the size of h and of c.
        activation: of g and of c'. Default: "tanh".
        recurrent_activation: of i, f and o. Default: "sigmoid".
        use_bias: whether there are b and b_c. Default: True.
        kernel_initializer: of W. Default: "glorot_uniform".
        recurrent_initializer: of U. Default: "orthogonal".
        bias_initializer: of b. Default: "zeros".
        unit_forget_bias: True (default) initialises the forget gate's bias to 1.
        kernel_regularizer: of W. Default: None.
        recurrent_regularizer: of U. Default: None.
        bias_regularizer: of b. Default: None.
        kernel_constraint: of W. Default: None.
        recurrent_constraint: of U. Default: None.
        bias_constraint: of b. Default: None.
        epsilon: positive float, added to variances. Default: 1e-5.
        **kwargs: `name`, `dtype` and `trainable`.

    Call arguments:
        inputs: `(batch, features)` floats.
        states: list of h and c, each `(batch, units)`.
        training: boolean; has no effect here.

    Returns:
        `(h', [h', c'])`, each `(batch, units)`.

    Raises:
        ValueError: `units` or `epsilon` is not positive, or `unit_forget_bias` is True
            with a `Chrono`.

    Example:

        cell = bk.layers.LayerNormLSTMCell(4)
        h, states = cell(np.ones((2, 3), "float32"), cell.get_initial_state(2))

    Source: Ba, Kiros & Hinton, "Layer Normalization" (2016), appendix on LSTMs.
    """

    def __init__(
        self,
        units: int,
        activation: Any = "tanh",
        *,
        recurrent_activation: Any = "sigmoid",
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        recurrent_initializer: Any = "orthogonal",
        bias_initializer: Any = "zeros",
        unit_forget_bias: bool = True,
        kernel_regularizer: Any = None,
        recurrent_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        recurrent_constraint: Any = None,
        bias_constraint: Any = None,
        epsilon: float = 1e-5,
        **kwargs: Any,
    ):
        if not epsilon > 0:
            raise ValueError(
                f"`epsilon` must be positive. Received: epsilon={epsilon!r}."
            )
        super().__init__(
            units,
            activation=activation,
            recurrent_activation=recurrent_activation,
            use_bias=use_bias,
            kernel_initializer=kernel_initializer,
            recurrent_initializer=recurrent_initializer,
            bias_initializer=bias_initializer,
            unit_forget_bias=unit_forget_bias,
            kernel_regularizer=kernel_regularizer,
            recurrent_regularizer=recurrent_regularizer,
            bias_regularizer=bias_regularizer,
            kernel_constraint=kernel_constraint,
            recurrent_constraint=recurrent_constraint,
            bias_constraint=bias_constraint,
            **kwargs,
        )
        check_forget_gate(self)
        self.epsilon = epsilon

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        super().build(input_shape)

        def weight(name, size, start):
            return self.add_weight(shape=(size,), name=name, initializer=start)

        self.input_gain = weight("input_gain", 4 * self.units, "ones")
        self.recurrent_gain = weight("recurrent_gain", 4 * self.units, "ones")
        self.state_gain = weight("state_gain", self.units, "ones")
        self.state_bias = None
        if self.use_bias:
            self.state_bias = weight("state_bias", self.units, "zeros")

    def project(self, inputs: Tensor, dtype: Any) -> Tensor:
        """`LN(x W) * a_x + b` for `(rows, features)` inputs: `(rows, 4 * units)`."""
        kernel = tf.cast(tf.convert_to_tensor(self.kernel), dtype)
        z = tf.matmul(tf.cast(inputs, dtype), kernel)
        gain = tf.convert_to_tensor(self.input_gain)
        bias = None if self.bias is None else tf.convert_to_tensor(self.bias)
        return normalise(z, gain, bias, self.epsilon)

    def gated(
        self, z: Tensor, c_prev: Tensor, state_gain: Tensor, state_bias: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        """`(h', c')` from z and c."""
        z_i, z_f, z_g, z_o = tf.split(z, 4, axis=-1)
        i, f, o = (self.recurrent_activation(part) for part in (z_i, z_f, z_o))
        c = f * c_prev + i * self.activation(z_g)
        normal = normalise(c, state_gain, state_bias, self.epsilon)
        return o * self.activation(normal), c

    def call(
        self, inputs: Tensor, states: list[Tensor], training: bool = False
    ) -> tuple[Tensor, list[Tensor]]:
        h_prev, c_prev = states
        kernel = tf.cast(tf.convert_to_tensor(self.recurrent_kernel), h_prev.dtype)
        gain = tf.convert_to_tensor(self.recurrent_gain)
        z = self.project(inputs, h_prev.dtype)
        z += normalise(tf.matmul(h_prev, kernel), gain, None, self.epsilon)
        state_gain, state_bias = self.state_gain, self.state_bias
        h, c = self.gated(z, c_prev, state_gain, state_bias)
        return h, [h, c]

    def get_config(self) -> dict[str, Any]:
        config = super().get_config()
        for absent in ("dropout", "recurrent_dropout", "seed"):
            del config[absent]
        return {**config, "epsilon": self.epsilon}
