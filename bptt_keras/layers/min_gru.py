"""The minimal GRU, parallel in time."""

import keras
import tensorflow as tf

from bptt_keras.layers._parallel import MinimalRecurrence


@keras.saving.register_keras_serializable(package="bptt_keras")
class MinGRU(MinimalRecurrence):
    """A GRU whose gate and candidate depend only on the inputs, parallel in time.

        z_t = sigmoid(x_t W_z + b_z)
        g_t = x_t W_g + b_g
        h_t = (1 - z_t) * h_{t-1} + z_t * g_t

    The kernel has W_z and W_g, in this order. The state is h in float32 (float64 in
    a float64 layer), whatever the compute dtype.

    Args:
        units: positive integer, the size of h.
        return_sequences: True returns h of all steps, False (default) of the last.
        use_bias: whether there are b_z and b_g. Default: True.
        kernel_initializer: Default: "glorot_uniform".
        bias_initializer: Default: "zeros".
        kernel_regularizer: Default: None.
        bias_regularizer: Default: None.
        **kwargs: `name`, `dtype` and `trainable`.

    Call arguments:
        inputs: `(batch, time, features)` floats.
        training: boolean; has no effect here.
        mask: `(batch, time)` booleans, False where a step is skipped: h does not
            change. Default: the mask attached to the inputs.

    Returns:
        `(batch, units)`, or with `return_sequences` `(batch, time, units)`.

    Raises:
        ValueError: `units` is not a positive integer; `mask` is not `(batch, time)`.

    Example:

        layer = bk.layers.MinGRU(4, return_sequences=True)
        x = np.ones((2, 10, 3), "float32")
        whole = layer(x)
        first, state = layer.call_with_state(x[:, :6], layer.get_initial_state(2))
        second, state = layer.call_with_state(x[:, 6:], state)
        np.testing.assert_allclose(whole[:, 6:], second, atol=1e-6)

    Source: Feng et al., "Were RNNs All We Needed?" (2024), section 3.1. This is the
    plain form; the paper also has one in log space, with a positive candidate.
    """

    _gates = 2

    def _factors(self, z, g):
        # 1 - sigmoid(z), without the cancellation where z is large.
        return tf.sigmoid(-z), tf.sigmoid(z) * g
