"""Truncated backpropagation through time written out by hand, with Keras alone."""

import keras
import numpy as np
import tensorflow as tf


def model_of(layer, units=5, outputs=2, features=3, **options):
    """A recurrent layer and a Dense layer over it, built."""
    return keras.Sequential(
        [
            keras.Input((None, features)),
            layer(units, return_sequences=True, **options),
            keras.layers.Dense(outputs),
        ]
    )


def train_by_hand(model, optimizer, x, y, window, weights=None, state=None):
    """One pass over `(x, y)`: a tape and an update for each window.

    `model` is `[LSTM, Dense]` with Keras' own LSTM; its state is handed over as a
    constant. The loss is the mean squared error over the last axis, averaged over
    timesteps with `weights` `(batch, time)`.

    Returns:
        `(losses, state)`: one loss for each window, and the last state.
    """
    lstm, dense = model.layers
    explicit = keras.layers.RNN(lstm.cell, return_sequences=True, return_state=True)
    weights = np.ones(x.shape[:2], "float32") if weights is None else weights
    if state is None:
        state = [tf.zeros((len(x), lstm.units))] * 2
    losses = []
    for start in range(0, x.shape[1], window):
        cut = slice(start, start + window)
        with tf.GradientTape() as tape:
            hidden, *state = explicit(x[:, cut], initial_state=state)
            error = tf.reduce_mean((y[:, cut] - dense(hidden)) ** 2, axis=-1)
            w = tf.constant(weights[:, cut])
            loss = tf.reduce_sum(w * error) / tf.reduce_sum(w)
        gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
        optimizer.apply(gradients, model.trainable_variables)
        losses.append(float(loss))
    return losses, state


def clone(model):
    """The same model with weights of its own."""
    other = keras.models.clone_model(model)
    other.set_weights(model.get_weights())
    return other


def series(rows, steps, features=3, outputs=2, seed=0):
    """Random inputs and targets, `float32`."""
    random = np.random.default_rng(seed)
    x = random.normal(size=(rows, steps, features)).astype("float32")
    y = random.normal(size=(rows, steps, outputs)).astype("float32")
    return x, y


def assert_same_weights(a, b, **tolerance):
    """Asserts that two models hold the same trainable weights."""
    tolerance = {"atol": 1e-6, "rtol": 1e-5} | tolerance
    for first, second in zip(a.trainable_variables, b.trainable_variables, strict=True):
        np.testing.assert_allclose(
            first.numpy(), second.numpy(), err_msg=first.path, **tolerance
        )
