"""Influence balancing: a task that shows what truncation schemes really do.

    s_{t+1} = A s_t + theta v,    loss_t = 0.5 (s^1_t - 1)^2,    s_0 = 1

with 23 units, A = 0.5 I + 0.5 (superdiagonal), v = +1 for 10 units and -1 for 13. The
short-term influence of theta has the opposite sign of its long-term influence, so a
window that is too short drives theta away from its optimum, -1/6.

Source: Tallec & Ollivier, "Unbiasing truncated backpropagation through time" (2017).
"""

import keras
import numpy as np
import tensorflow as tf

import bptt_keras as bk

UNITS = 23
OPTIMUM = -1 / 6


class Influence(keras.layers.Layer):
    """The cell: its only weight is theta, its output the first unit."""

    state_size = UNITS
    output_size = 1

    def build(self, input_shape):
        self.theta = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(0.5)
        )
        self.a = tf.constant(
            0.5 * (np.eye(UNITS) + np.eye(UNITS, k=1)).astype("float32")
        )
        self.v = tf.constant(np.repeat([1.0, -1.0], [10, 13]).astype("float32"))

    def get_initial_state(self, batch_size=None):
        return [tf.ones((batch_size, UNITS))]

    def call(self, inputs, states):
        state = tf.linalg.matmul(states[0], self.a, transpose_b=True)
        state += self.theta * self.v
        return state[:, :1], [state]


def half_squared_error(y_true, y_pred):
    return 0.5 * tf.reduce_mean((y_pred - y_true) ** 2, axis=-1)


def trainer_of(window, rate, *, return_sequences=True, **options):
    layer = keras.layers.RNN(Influence(), return_sequences=return_sequences)
    model = keras.Sequential([keras.Input((None, 1)), layer])
    trainer = bk.TruncatedBPTT(model, window, shards=1, **options)
    trainer.compile(keras.optimizers.SGD(rate), half_squared_error, jit_compile=True)
    return trainer


def theta_after(trainer, steps):
    """Theta after one endless sequence; what is not finite has diverged."""
    x = np.zeros((1, steps, 1), "float32")
    trainer.train_on_batch(x, np.ones_like(x))
    return float(trainer.model.trainable_variables[0])
