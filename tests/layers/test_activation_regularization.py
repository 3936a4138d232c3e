"""Activation regularisation: its formula, its gradient, its place in training."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk

ALPHA, BETA = 0.7, 1.3


def by_hand(h, mask):
    rows, steps, _ = h.shape
    sizes = [
        np.mean(h[r, t] ** 2) for r in range(rows) for t in range(steps) if mask[r, t]
    ]
    changes = [
        np.mean((h[r, t] - h[r, t - 1]) ** 2)
        for r in range(rows)
        for t in range(1, steps)
        if mask[r, t] and mask[r, t - 1]
    ]
    mean = [np.mean(values) if values else 0.0 for values in (sizes, changes)]
    return ALPHA * mean[0] + BETA * mean[1]


def loss_of(h, mask=None):
    layer = bk.layers.ActivationRegularization(ALPHA, BETA, dtype="float64")
    outputs = layer(h, training=True, mask=mask)
    (loss,) = layer.losses
    return outputs, loss


@pytest.mark.parametrize("masked", [False, True])
def test_loss_equals_plain_loops(masked):
    random = np.random.default_rng(0)
    h = random.normal(size=(3, 6, 4))
    mask = random.random((3, 6)) > 0.4 if masked else np.ones((3, 6), bool)
    outputs, loss = loss_of(h, mask if masked else None)
    np.testing.assert_array_equal(outputs, h)
    np.testing.assert_allclose(loss, by_hand(h, mask), rtol=1e-12)


def test_what_is_masked_may_hold_anything():
    h = np.ones((1, 3, 2))
    h[0, 2] = np.nan
    _, loss = loss_of(h, np.array([[True, True, False]]))
    np.testing.assert_allclose(loss, ALPHA)


def test_gradient_equals_differences():
    h = np.random.default_rng(0).normal(size=(2, 4, 3))
    x = tf.constant(h)
    with tf.GradientTape() as tape:
        tape.watch(x)
        _, loss = loss_of(x)
    gradient, mask, step = tape.gradient(loss, x), np.ones((2, 4), bool), 1e-6
    for index in [(0, 0, 0), (1, 2, 1), (1, 3, 2)]:
        up, down = h.copy(), h.copy()
        up[index] += step
        down[index] -= step
        slope = (by_hand(up, mask) - by_hand(down, mask)) / (2 * step)
        np.testing.assert_allclose(gradient[index], slope, rtol=1e-6)


def test_nothing_is_added_outside_of_training():
    layer = bk.layers.ActivationRegularization(1.0, 1.0)
    layer(np.ones((1, 2, 3), "float32"))
    assert layer.losses == []


@pytest.mark.parametrize("jit_compile", [False, True])
def test_each_window_adds_its_own(jit_compile):
    x = np.random.default_rng(0).normal(size=(3, 9, 4)).astype("float32")
    model = keras.Sequential(
        [
            keras.Input((None, 4)),
            bk.layers.ActivationRegularization(ALPHA, BETA),
            keras.layers.Dense(1),
        ]
    )
    trainer = bk.TruncatedBPTT(model, 4)
    trainer.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=jit_compile)
    y = np.zeros((3, 9, 1), "float32")
    plain = float(np.mean(np.asarray(model(x)) ** 2))
    found = trainer.fit(x, y, verbose=0).history["loss"][0]
    every = np.ones((3, 4), bool)
    cuts = [(0, 4), (4, 8), (8, 9)]
    added = sum((b - a) / 9 * by_hand(x[:, a:b], every[:, : b - a]) for a, b in cuts)
    np.testing.assert_allclose(found, plain + added, rtol=1e-5)


@pytest.mark.parametrize("weights", [{"alpha": -1}, {"beta": "x"}, {"beta": True}])
def test_wrong_weights_are_refused(weights):
    with pytest.raises(ValueError, match="must be a number >= 0"):
        bk.layers.ActivationRegularization(**weights)


def test_configuration_round_trip():
    layer = bk.layers.ActivationRegularization(0.5, 2.0)
    again = type(layer).from_config(layer.get_config())
    assert (again.alpha, again.beta) == (0.5, 2.0)
