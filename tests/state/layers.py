"""Custom layers that several tests share."""

import keras
import tensorflow as tf

from bptt_keras.kernels import cell_loop


class CausalConvolution(keras.layers.Conv1D):
    """A convolution over time whose state is its last `kernel_size - 1` inputs.

    Derived from a layer that is refused otherwise; one product where nothing is
    masked or reset, else a loop over time.
    """

    def __init__(self, filters, kernel_size, **kwargs):
        super().__init__(filters, kernel_size, **kwargs)
        self.supports_masking = True

    def build(self, input_shape):
        super().build(input_shape)
        self.features = input_shape[-1]

    def get_initial_state(self, batch_size):
        past = (batch_size, self.kernel_size[0] - 1, self.features)
        return {
            "past": tf.zeros(past, self.compute_dtype),
            "output": tf.zeros((batch_size, self.filters), self.compute_dtype),
        }

    def call_with_state(self, inputs, state, *, training=False, mask=None, reset=None):
        if mask is None and reset is None:
            seen = tf.concat([state["past"], inputs], axis=1)
            outputs = super().call(seen)
            past = seen[:, tf.shape(seen)[1] - self.kernel_size[0] + 1 :]
            past = tf.ensure_shape(past, state["past"].shape)
            return outputs, {"past": past, "output": outputs[:, -1]}
        kernel, bias = (tf.convert_to_tensor(w) for w in (self.kernel, self.bias))
        kernel = tf.reshape(kernel, (-1, self.filters))

        def step(x, past):
            seen = tf.concat([past, x[:, None]], axis=1)
            flat = tf.reshape(seen, (-1, kernel.shape[0]))
            return tf.matmul(flat, kernel) + bias, seen[:, 1:]

        last, outputs, past = cell_loop(
            step,
            inputs,
            state["past"],
            mask=mask,
            reset=reset,
            initial_states=tf.zeros_like(state["past"]),
            previous_output=state["output"],
        )
        return outputs, {"past": past, "output": last}

    def call(self, inputs, mask=None):
        state = self.get_initial_state(tf.shape(inputs)[0])
        return self.call_with_state(inputs, state, mask=mask)[0]
