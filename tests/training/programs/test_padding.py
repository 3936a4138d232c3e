"""The same sequences with more padding train a model to the same weights."""

import keras
import numpy as np
import pytest

import bptt_keras as bk

ROWS, STEPS, WINDOW = 4, 10, 5
LENGTHS = np.array([10, 3, 6, 2])


def data(padding):
    random = np.random.default_rng(0)
    x = 3 + random.normal(size=(ROWS, STEPS, 2))
    y = random.normal(size=(ROWS, STEPS, 1))
    width = [(0, 0), (0, padding), (0, 0)]
    x, y = (np.pad(a, width).astype("float32") for a in (x, y))
    padded = np.arange(STEPS + padding) >= LENGTHS[:, None]
    x[padded], y[padded] = 0, 0
    return x, y


class Size(keras.layers.Layer):
    """Adds the mean square over the steps that count."""

    def __init__(self):
        super().__init__()
        self.supports_masking = True

    def call(self, inputs, mask=None):
        if mask is None:
            mask = keras.ops.ones(keras.ops.shape(inputs)[:2])
        mask = keras.ops.cast(mask, inputs.dtype)[..., None]
        total = keras.ops.sum(mask * inputs**2)
        self.add_loss(total / keras.ops.sum(mask))
        return inputs


def recurrent(**options):
    return keras.layers.SimpleRNN(3, return_sequences=True, **options)


def concerned():
    """A layer of each kind to which padding could count."""
    inside = keras.layers.BatchNormalization(momentum=0.5)
    return [
        keras.layers.BatchNormalization(momentum=0.5),
        recurrent(activity_regularizer="l2"),
        keras.layers.TimeDistributed(inside),
        Size(),
    ]


def trained(layers, padding, *, masking=False, jit_compile="auto"):
    keras.utils.set_random_seed(2)
    first = [keras.layers.Masking()] if masking else []
    last = [recurrent(), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((None, 2)), *first, *layers(), *last])
    trainer = bk.TruncatedBPTT(model, window=WINDOW)
    trainer.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
    x, y = data(padding)
    inputs = x if masking else {"inputs": x, "lengths": LENGTHS}
    fitted = trainer.fit(inputs, y, batch_size=ROWS, epochs=2, verbose=0)
    return [*fitted.history["loss"], *(w.numpy() for w in model.weights)]


def assert_same(received, expected):
    for a, b in zip(received, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=2e-6, rtol=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", ["auto", False])
def test_more_padding_changes_neither_loss_nor_weights(jit_compile):
    # With 12 windows that are wholly padded.
    found = [trained(concerned, n, jit_compile=jit_compile) for n in (0, 60)]
    assert_same(*found)


@pytest.mark.slow
def test_more_steps_that_the_model_masks_also_change_nothing():
    found = [trained(lambda: concerned()[:2], n, masking=True) for n in (0, 15)]
    assert_same(*found)


@pytest.mark.slow
def test_evaluation_leaves_padding_out_of_the_losses_that_layers_add():
    layers = [*concerned(), keras.layers.Dense(1)]
    model = keras.Sequential([keras.Input((None, 2)), *layers])
    trainer = bk.TruncatedBPTT(model, window=WINDOW)
    trainer.compile("sgd", "mse")
    found = []
    for padding in (0, 3):
        x, y = data(padding)
        found.append(trainer.evaluate({"inputs": x, "lengths": LENGTHS}, y, verbose=0))
    # The last window adds a loss like any other, and is all padding.
    np.testing.assert_allclose(*found, rtol=1e-6)


@pytest.mark.slow
def test_time_distributed_trains_as_its_layer_does_on_a_short_last_window():
    def dense():
        return keras.layers.Dense(2, activation="tanh")

    plain = trained(lambda: [dense()], 2)
    assert_same(trained(lambda: [keras.layers.TimeDistributed(dense())], 2), plain)


def test_time_distributed_takes_batches_of_other_lengths():
    inputs = keras.Input((None, 2))
    dense = keras.layers.Dense(1)
    hidden = recurrent()(keras.layers.TimeDistributed(keras.layers.Dense(2))(inputs))
    outputs = keras.layers.TimeDistributed(dense)(hidden)
    trainer = bk.TruncatedBPTT(keras.Model(inputs, outputs), window=WINDOW)
    plain = keras.Model(inputs, dense(hidden))
    x, _ = data(0)
    for length in (8, 7, 1, 6):
        received = trainer.predict(x[:, :length], verbose=0)
        expected = bk.PureStep(plain)(x[:, :length])[0]
        np.testing.assert_allclose(received, expected, atol=1e-6)


def test_a_loss_that_padding_would_change_is_refused_when_padding_comes():
    class Mean(keras.layers.Layer):
        def call(self, inputs):
            self.add_loss(keras.ops.mean(inputs**2))
            return inputs

    with pytest.raises(ValueError, match=r"'mean' \(Mean\) adds a loss.*`mask`"):
        trained(lambda: [Mean(name="mean")], 0)
