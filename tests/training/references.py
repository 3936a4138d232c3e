"""Truncated backpropagation through time written out by hand, using only Keras."""

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


def train_whole(model, x, y):
    """One update of full backpropagation by Keras, eagerly: nothing is traced."""
    model.compile(keras.optimizers.SGD(0.1), "mse", run_eagerly=True)
    model.train_on_batch(x, y)


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


def train_by_spans(model, optimizer, x, y, spans, **options):
    """Truncated backpropagation step by step, with an explicit cut at each span.

    `model` is `[LSTM, Dense]` with Keras' own LSTM. Every timestep is one call of its
    cell; the state before each timestep is kept as a constant, and a window starts
    from the one that the latest window left there.

    Args:
        model: The model, trained in place.
        optimizer: A Keras optimizer.
        x: Inputs `(batch, time, features)`.
        y: Targets `(batch, time, outputs)`; the loss is the mean squared error.
        spans: List of `(start, first_new, stop)`.
        **options: `weights` and `valid` and `reset` `(batch, time)`, `factors`: what
            the state's gradient is multiplied by before each step of a window;
            `update`: windows between two updates; `state`: the first one.

    Returns:
        `(losses, states)`: the summed loss and weight of each window, and the state
        before each timestep.
    """
    cell, dense = model.layers[0].cell, model.layers[1]
    rows, length = x.shape[:2]
    weights = options.get("weights", np.ones((rows, length), "float32"))
    valid = options.get("valid", np.ones((rows, length), bool))
    reset = options.get("reset", np.zeros((rows, length), bool))
    factors = options.get("factors")
    zero = [tf.zeros((rows, cell.units))] * 2
    states = {0: options.get("state", zero)}
    variables = [v.value for v in model.trainable_variables]
    losses, waiting = [], []
    for index, (start, first_new, stop) in enumerate(spans):
        with tf.GradientTape() as tape:
            state, total, weight = states[start], 0.0, 0.0
            for t in range(start, stop):
                if factors is not None and t > start:
                    state = [_scaled(s, factors[t - start]) for s in state]
                flag, held = reset[:, t, None], ~valid[:, t, None]
                state = [tf.where(flag, z, s) for z, s in zip(zero, state, strict=True)]
                _, new = cell(x[:, t], state)
                state = [tf.where(held, s, n) for s, n in zip(state, new, strict=True)]
                states[t + 1] = [tf.stop_gradient(s) for s in state]
                if t >= first_new:
                    error = tf.reduce_mean((y[:, t] - dense(state[0])) ** 2, axis=-1)
                    w = weights[:, t] * valid[:, t]
                    total += tf.reduce_sum(w * error)
                    weight += np.sum(w)
            gradients = tape.gradient(total, variables)
        losses.append((float(total), float(weight)))
        waiting.append((gradients, weight))
        due = options.get("update", 1)
        if len(waiting) == due or index == len(spans) - 1:
            summed = sum(w for _, w in waiting)
            mean = [sum(g[i] for g, _ in waiting) for i in range(len(variables))]
            waiting = []
            if summed:
                mean = [m / summed for m in mean]
                optimizer.apply(mean, model.trainable_variables)
    return losses, states


def _scaled(value, factor):
    """The value, its gradient multiplied by a factor."""
    return factor * value + tf.stop_gradient((1 - factor) * value)
