import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from zoo.fitting.averaging import AveragedSGD, NonMonotone


@pytest.mark.parametrize("jit", [False, True])
def test_averages_are_the_mean_of_the_iterates_since_the_start(jit):
    weight = keras.Variable(np.zeros(3))
    optimizer = AveragedSGD(0.5, global_clipnorm=1.0)
    optimizer.build([weight])
    apply = tf.function(lambda g: optimizer.apply([g], [weight]), jit_compile=jit)
    rng, iterates = np.random.default_rng(0), []
    for update in range(12):
        if update == 4:
            assert not optimizer.started
            optimizer.start()
        apply(tf.constant(rng.normal(size=3), tf.float32))
        iterates.append(weight.numpy())
    optimizer.swap()
    np.testing.assert_allclose(weight, np.mean(iterates[4:], axis=0), rtol=1e-5)
    optimizer.swap()
    np.testing.assert_array_equal(weight, iterates[-1])


def test_weights_are_those_of_plain_sgd():
    weights = [keras.Variable(np.ones(2)) for _ in range(2)]
    options = {"weight_decay": 0.1, "global_clipnorm": 0.5}
    optimizers = [AveragedSGD(0.1, **options), keras.optimizers.SGD(0.1, **options)]
    for weight, optimizer in zip(weights, optimizers, strict=True):
        for _ in range(3):
            optimizer.apply([tf.constant([1.0, -2.0])], [weight])
    np.testing.assert_array_equal(*weights)


def test_swapping_does_nothing_before_there_is_an_average():
    weight = keras.Variable([1.0])
    optimizer = AveragedSGD(1.0)
    optimizer.build([weight])
    optimizer.swap()
    optimizer.start()
    optimizer.swap()
    assert weight.numpy() == [1.0]


@pytest.mark.parametrize(
    ("losses", "stalls"),
    [
        ([3.0], False),
        ([3.0, 4.0], False),
        ([3.0, 4.0, 4.0], False),
        ([3.0, 4.0, 4.0, 4.0], True),
        ([3.0, 4.0, 4.0, 2.9], False),
        ([3.0, 2.0, 2.5, 2.9], False),
        ([3.0, 2.0, 2.5, 2.4, 2.3], True),
    ],
)
def test_validation_stalls_above_the_best_value_before_the_patience(losses, stalls):
    assert NonMonotone(2, lambda: losses)._stalls(losses) == stalls


class Scripted(keras.callbacks.Callback):
    """Makes validation stall after the second epoch, and looks at the weight."""

    def __init__(self, weight):
        super().__init__()
        self.weight, self.losses = weight, []
        self.iterates, self.validated = [], []

    def on_train_batch_end(self, batch, logs=None):
        self.iterates.append(self.weight.numpy().item())

    def on_epoch_end(self, epoch, logs=None):
        self.losses.append(float(epoch))
        self.validated.append(self.weight.numpy().item())


def test_validation_uses_the_averages_and_training_continues_with_the_weights():
    layer = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")
    model = keras.Sequential([keras.Input((None, 1)), layer])
    trainer = bk.TruncatedBPTT(model, window=5, shards=1)
    trainer.compile(AveragedSGD(0.1), "mse", jit_compile=False)
    x = np.ones((1, 5, 1), "float32")
    scripted = Scripted(layer.kernel)
    averaging = NonMonotone(1, lambda: scripted.losses)
    data = tf.data.Dataset.from_tensors((x, 0 * x)).repeat(3)
    history = trainer.fit(
        data,
        validation_data=(x, 0 * x),
        epochs=5,
        verbose=0,
        callbacks=[scripted, averaging],
    ).history
    # Losses 0, 1, 2 stall after the third epoch: 9 updates.
    np.testing.assert_allclose(scripted.iterates, 0.8 ** np.arange(1, 16), rtol=1e-5)
    expected = [0.8**3, 0.8**6, 0.8**9] + [
        np.mean(0.8 ** np.arange(10, last + 1)) for last in (12, 15)
    ]
    np.testing.assert_allclose(scripted.validated, expected, rtol=1e-5)
    np.testing.assert_allclose(history["val_loss"], np.square(expected), rtol=1e-4)
    np.testing.assert_allclose(layer.kernel, 0.8**15, rtol=1e-5)
