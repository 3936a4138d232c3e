"""Layers and windows give the same results on a GPU as on the CPU."""

import inspect

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk

LAYERS = {
    kind.__name__: kind
    for kind in (
        bk.layers.LSTM,
        bk.layers.GRU,
        bk.layers.SimpleRNN,
        bk.layers.IndRNN,
        bk.layers.LayerNormLSTM,
        bk.layers.WeightDropLSTM,
        bk.layers.ZoneoutLSTM,
        bk.layers.MinGRU,
        bk.layers.MinLSTM,
        bk.layers.LRU,
    )
}
X = np.random.default_rng(0).normal(size=(6, 40, 5)).astype("float32")
FLAGS = np.random.default_rng(1).random((6, 40)) < 0.1


@pytest.fixture(params=LAYERS)
def layer(request):
    layer = LAYERS[request.param](24, return_sequences=True)
    layer.build(X.shape)
    return layer


def outputs_and_gradients(layer, x, *, device, xla, **flags):
    @tf.function(jit_compile=xla, autograph=False)
    def run(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            y = layer(x, **flags)
            loss = tf.reduce_sum(tf.sin(y))
        return y, tape.gradient(loss, [x, *layer.trainable_variables])

    # XLA reads only variables of its own device.
    with tf.device(device):
        weights = layer.get_weights()
        layer = type(layer).from_config(layer.get_config())
        layer.build(x.shape)
        layer.set_weights(weights)
        y, gradients = run(tf.identity(tf.constant(x)))
        assert device in y.device
        return [y.numpy(), *(g.numpy() for g in gradients)]


def assert_close(there, here):
    for a, b in zip(there, here, strict=True):
        assert np.linalg.norm(a - b) <= 1e-4 * np.linalg.norm(b)


@pytest.mark.parametrize("xla", [True, False])
def test_a_layer(layer, gpu, xla):
    there = outputs_and_gradients(layer, X, device=gpu, xla=xla)
    here = outputs_and_gradients(layer, X, device="CPU:0", xla=True)
    assert_close(there, here)


@pytest.mark.parametrize("xla", [True, False])
def test_a_layer_with_resets_and_masks(layer, gpu, xla):
    if "reset" not in inspect.signature(layer.call).parameters:
        pytest.skip("takes no resets")
    flags = {"reset": tf.constant(FLAGS), "mask": tf.constant(~FLAGS[::-1])}
    there = outputs_and_gradients(layer, X, device=gpu, xla=xla, **flags)
    here = outputs_and_gradients(layer, X, device="CPU:0", xla=True, **flags)
    assert_close(there, here)


@pytest.mark.parametrize("implementation", ["auto", "fused", "cudnn"])
@pytest.mark.parametrize("jit_compile", ["auto", True, False])
@pytest.mark.parametrize("name", ["LSTM", "GRU"])
def test_training_in_windows(gpu, name, jit_compile, implementation):
    if implementation == "cudnn" and jit_compile is True:
        pytest.skip("XLA does not compile cuDNN")

    def losses(device, jit_compile, implementation):
        keras.utils.set_random_seed(0)
        with tf.device(device):
            model = keras.Sequential(
                [
                    keras.layers.Embedding(11, 8),
                    LAYERS[name](
                        16, return_sequences=True, implementation=implementation
                    ),
                    keras.layers.Dense(11),
                ]
            )
            trainer = bk.TruncatedBPTT(model, window=7, shards=1)
            trainer.compile(
                keras.optimizers.Adam(1e-2, global_clipnorm=1.0),
                keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                metrics=["sparse_categorical_accuracy"],
                jit_compile=jit_compile,
            )
            tokens = np.random.default_rng(0).integers(0, 11, 801)
            stream = bk.data.streams(tokens, batch_size=4, window=21)
            history = trainer.fit(stream, epochs=3, verbose=0).history
            held_out = trainer.evaluate(stream, verbose=0)
        return np.array([*history["loss"], *history["grad_norm"], *held_out])

    there = losses(gpu, jit_compile, implementation)
    here = losses("CPU:0", True, "fused")
    np.testing.assert_allclose(there, here, rtol=2e-3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
@pytest.mark.parametrize("jit_compile", [True, False])
def test_mixed_precision(gpu, policy, jit_compile):
    keras.config.set_dtype_policy(policy)
    model = keras.Sequential(
        [
            keras.layers.Embedding(11, 8),
            bk.layers.LSTM(16, return_sequences=True),
            keras.layers.Dense(11, dtype="float32"),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=7)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trainer.compile(keras.optimizers.Adam(1e-2), loss, jit_compile=jit_compile)
    stream = bk.data.streams(np.arange(2001) % 11, batch_size=4, window=7)
    losses = trainer.fit(stream, epochs=5, verbose=0).history["loss"]
    assert losses[-1] < 0.2 < losses[0]


def test_memory_is_measured_there(gpu):
    def function():
        with tf.device(gpu):
            return tf.reduce_sum(tf.random.normal((4096, 4096)) * 2)

    # One array of 64 MiB at least, and not many more.
    assert 60 * 2**20 < bk.diagnostics.peak_memory(function) < 300 * 2**20


def test_the_summary_names_the_kernel(gpu):
    model = keras.Sequential([bk.layers.LSTM(4, return_sequences=True)])
    trainer = bk.TruncatedBPTT(model, window=5)
    trainer.compile("sgd", "mse", jit_compile=False)
    x = np.zeros((2, 10, 3), "float32")
    trainer.fit(x, np.zeros((2, 10, 4), "float32"), verbose=0)
    lines = []
    trainer.summary(print_fn=lines.append)
    text = "\n".join(lines)
    assert "cuDNN" in text
    assert "a GPU fills itself" in text
