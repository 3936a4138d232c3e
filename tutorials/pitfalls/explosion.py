"""Training that diverges, and a warning before it does.

Influence balancing (Tallec & Ollivier 2017): a weight pushes the state one way
immediately, and the other way, more strongly, some tens of timesteps later. A window of
10 sees only the first effect, so its gradient points the wrong way, however small the
learning rate.
"""

import keras
import numpy as np
import tensorflow as tf

import bptt_keras as bk

UNITS = 23


class Influence(keras.layers.Layer):
    """s_{t+1} = A s_t + theta v; the output is the first unit."""

    state_size, output_size = UNITS, 1

    def build(self, input_shape):
        half = keras.initializers.Constant(0.5)
        self.theta = self.add_weight(shape=(), initializer=half, name="theta")
        both = np.eye(UNITS) + np.eye(UNITS, k=1)
        self.a = tf.constant(0.5 * both, tf.float32)
        self.v = tf.constant([1.0] * 10 + [-1.0] * 13)

    def get_initial_state(self, batch_size=None):
        return [tf.ones((batch_size, UNITS))]

    def call(self, inputs, states):
        state = tf.matmul(states[0], self.a, transpose_b=True) + self.theta * self.v
        return state[:, :1], [state]


def train(window, steps):
    """Trains towards an output of 1, with a `TrainingWatch`."""
    model = keras.Sequential(
        [
            keras.layers.Input((None, 1)),
            keras.layers.RNN(Influence(), return_sequences=True),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=window)
    trainer.compile(keras.optimizers.SGD(1e-3), "mse")
    sample, x = np.zeros((1, 400, 1)), np.zeros((1, steps, 1))
    watch = bk.callbacks.TrainingWatch((sample, sample + 1))
    history = trainer.fit(x, x + 1, epochs=3, verbose=0, callbacks=[watch])
    losses = ", ".join(f"{loss:.3g}" for loss in history.history["loss"])
    print(f"\nwindow {window}: losses {losses}")


train(window=10, steps=20_000)
train(window=200, steps=20_000)
