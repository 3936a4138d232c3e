"""The adaptive window inside `fit` measures the actual decay of gradients."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk

pytestmark = pytest.mark.both_ways


class Leaky(keras.layers.Layer):
    """h_t = w h_{t-1} + x_t: the gradient falls by w a step."""

    state_size = output_size = 2

    def __init__(self, w, **kwargs):
        super().__init__(**kwargs)
        self.w = w

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones")

    def call(self, inputs, states):
        h = self.w * states[0] + self.scale * inputs
        return h, [h]


@functools.cache  # the tests only read
def fitted(w, *, sequences=True, epochs=1, jit_compile=False, **options):
    model = keras.Sequential(
        [
            keras.Input((None, 2)),
            keras.layers.RNN(Leaky(w), return_sequences=sequences),
            keras.layers.Dense(1, kernel_initializer="ones"),
        ]
    )
    schedule = bk.truncation.AdaptiveWindow(
        4, longest=32, multiple=1, tolerance=0.05, **options
    )
    trainer = bk.TruncatedBPTT(model, schedule, shards=1)
    trainer.compile(keras.optimizers.SGD(1e-9), "mae", jit_compile=jit_compile)
    x = np.random.default_rng(0).normal(size=(3, 40, 2)).astype("float32")
    y = np.full((3, 40, 1) if sequences else (3, 1), 1e4, "float32")
    trainer.fit(x, y, epochs=epochs, verbose=0)
    return trainer


def smallest_window(w):
    for window in range(1, 33):
        # phi_0 is taken to be phi_1, so the falling part starts a step later.
        inside = 1 + (1 - w ** (window - 1)) / (1 - w)
        tail = w ** (window - 1) / (1 - w)
        if tail <= 0.05 * (inside - tail):
            return window
    return 32


@pytest.mark.parametrize("w", [pytest.param(0.5, marks=pytest.mark.slow), 0.8])
@pytest.mark.parametrize("sequences", [True, False])
@pytest.mark.quick(1)
def test_the_window_follows_the_measured_decay(w, sequences):
    trainer = fitted(w) if sequences else fitted(w, sequences=False)
    np.testing.assert_allclose(trainer.truncation.decay, w, rtol=1e-3)
    assert abs(trainer.truncation.window - smallest_window(w)) <= 1


def test_the_first_batch_is_cut_by_the_window_that_was_measured_on_it():
    trainer = fitted(0.8)
    window = trainer.truncation.window
    assert window != trainer.truncation.first_window
    # One batch of 40 timesteps.
    assert int(trainer.optimizer.iterations) == -(-40 // window)


@pytest.mark.slow
def test_xla_measures_the_same():
    trainer = fitted(0.8, jit_compile=True)
    np.testing.assert_allclose(trainer.truncation.decay, 0.8, rtol=1e-3)


def test_gradients_that_do_not_vanish_ask_for_the_longest_window():
    trainer = fitted(1.05)
    assert trainer.truncation.window == 32
    lines = []
    trainer.summary(print_fn=lambda line, **_: lines.append(line))
    assert "32 timesteps (AdaptiveWindow)" in "\n".join(lines)


@pytest.mark.slow
def test_it_measures_again_every_few_epochs():
    schedule = bk.truncation.AdaptiveWindow(4, longest=32, every=2)
    seen = []
    observe = schedule.observe
    schedule.observe = lambda norms: (seen.append(len(norms)), observe(norms))
    model = keras.Sequential(
        [keras.Input((None, 2)), bk.layers.LSTM(3, return_sequences=True)]
    )
    trainer = bk.TruncatedBPTT(model, schedule, shards=1)
    trainer.compile("sgd", "mse", jit_compile=False)
    x = np.random.default_rng(0).normal(size=(6, 20, 2)).astype("float32")
    trainer.fit(x, np.zeros((6, 20, 3)), epochs=5, batch_size=2, verbose=0)
    # Epochs 0, 2 and 4; the batch has 20 lags and lag 0.
    assert seen == [21, 21, 21]
    assert tf.executing_eagerly()
