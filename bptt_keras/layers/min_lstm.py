"""The minimal LSTM, parallel in time."""

from __future__ import annotations

import keras
import tensorflow as tf

from bptt_keras.layers._parallel import MinimalRecurrence
from bptt_keras.types import Tensor


@keras.saving.register_keras_serializable(package="bptt_keras")
class MinLSTM(MinimalRecurrence):
    """An LSTM whose gates depend only on the inputs, parallel in time.

        i_t = sigmoid(x_t W_i + b_i);   f_t = sigmoid(x_t W_f + b_f)
        g_t = x_t W_g + b_g
        h_t = (f_t * h_{t-1} + i_t * g_t) / (f_t + i_t)

    The kernel has W_i, W_f and W_g, in this order. The state is h in float32
    (float64 in a float64 layer), whatever the compute dtype.

    Args:
        units: positive integer, the size of h.
        return_sequences: True returns h of all steps, False (default) of the last.
        use_bias: whether there are b_i, b_f and b_g. Default: True.
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

        layer = bk.layers.MinLSTM(4, return_sequences=True)
        x = np.ones((2, 10, 3), "float32")
        whole = layer(x)
        first, state = layer.call_with_state(x[:, :6], layer.get_initial_state(2))
        second, state = layer.call_with_state(x[:, 6:], state)
        np.testing.assert_allclose(whole[:, 6:], second, atol=1e-6)

    Source: Feng et al., "Were RNNs All We Needed?" (2024), section 3.2, with the
    normalised gates. This is the plain form; the paper also has one in log space, with
    a positive candidate.
    """

    _gates = 3

    def _factors(self, i, f, g):
        kept, new = _shares(f, i)
        return kept, new * g


@tf.custom_gradient
def _shares(f: Tensor, i: Tensor) -> tuple[Tensor, Tensor]:
    """sigmoid(f) and sigmoid(i), divided by their sum.

    These are `(1 + e^-i) / (2 + e^-i + e^-f)` and vice versa; both fractions are scaled
    so that no exponential overflows and no sum is 0.
    """
    smallest = tf.minimum(tf.minimum(f, i), 0)
    one, for_f, for_i = (tf.exp(smallest - z) for z in (tf.zeros_like(f), f, i))
    total = 2 * one + for_f + for_i
    of_f, of_i = (one + for_i) / total, (one + for_f) / total

    def gradient(d_of_f, d_of_i):
        # They are sigmoid(s) and sigmoid(-s), s = log sigmoid(f) - log sigmoid(i).
        d_s = (d_of_f - d_of_i) * of_f * of_i
        return d_s * tf.sigmoid(-f), -d_s * tf.sigmoid(-i)

    return (of_f, of_i), gradient
