"""`implementation`: which kernel a layer runs, how it is chosen and shown."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.backend import has_gpu
from bptt_keras.kernels.native import probe

WITH_CUDNN = [bk.layers.LSTM, bk.layers.GRU]
ALL = [*WITH_CUDNN, bk.layers.SimpleRNN]
X = np.random.default_rng(0).normal(size=(3, 5, 2)).astype("float32")
FLAGS = np.zeros((3, 5), bool)


@pytest.fixture
def gpu(monkeypatch):
    """Pretends that there is a GPU, and notes which layers run on its cuDNN."""
    ran = []

    def inner_loop(kind):
        original = kind.inner_loop

        def noted(self, sequences, initial_state, mask, training=False):
            ran.append(self.name)
            return original(self, sequences, initial_state, mask, training)

        return noted

    for module in ("bptt_keras.layers._choice", "bptt_keras.kernels.native.probe"):
        monkeypatch.setattr(f"{module}.has_gpu", lambda: True)
    for kind in (keras.layers.LSTM, keras.layers.GRU):
        monkeypatch.setattr(kind, "inner_loop", inner_loop(kind))
    return ran


@pytest.mark.parametrize("kind", ALL)
def test_the_kernels_agree(kind):
    auto, fused, cell = (
        kind(4, implementation=choice) for choice in ("auto", "fused", "cell")
    )
    for layer in (auto, fused, cell):
        layer.build(X.shape)
        layer.set_weights(auto.get_weights())
    best = "fused" if probe.why_not(xla=True) else "native"
    kernels = [layer.kernel_of(xla=True) for layer in (auto, fused, cell)]
    assert kernels == [best, "fused", "cell"]
    np.testing.assert_allclose(fused(X), cell(X), atol=1e-6)
    np.testing.assert_allclose(fused(X), auto(X), atol=1e-6)


def test_a_layer_says_why_a_kernel_does_not_run():
    layer = bk.layers.LSTM(4, activation="relu")
    assert "activations" in layer.why_not("native")
    assert "activations" in layer.why_not("fused")
    assert "XLA compiles" in layer.why_not("cudnn")
    assert layer.why_not("cell") is None
    assert not layer.fused
    assert "float64" in bk.layers.GRU(4, dtype="float64").why_not("native")
    assert "recurrence" in bk.layers.ZoneoutLSTM(4).why_not("native")
    assert "'fused'" in bk.layers.GRU(4, implementation="fused").why_not("native")
    with pytest.raises(ValueError, match="Received: kernel='quick'"):
        layer.why_not("quick")


def test_the_reset_gate_before_the_product_is_native_alone():
    layer = bk.layers.GRU(4, reset_after=False)
    reason = probe.why_not(xla=True)
    assert layer.why_not("fused") == "reset_after=False"
    assert layer.why_not("native") == reason
    assert layer.fused is (reason is None)
    assert layer.kernel_of(xla=True) == ("cell" if reason else "native")


@pytest.mark.parametrize("choice", ["auto", "native", "fused", "cell"])
def test_the_choice_is_in_the_configuration(choice):
    layer = bk.layers.GRU(4, implementation=choice)
    assert bk.layers.GRU.from_config(layer.get_config()).implementation == choice
    assert ("implementation" in layer.get_config()) is (choice != "auto")


@pytest.mark.parametrize("kind", WITH_CUDNN)
def test_cudnn_is_requested_as_in_keras(kind):
    layer = kind(4, implementation="cudnn")
    assert layer.use_cudnn is True
    assert not layer.supports_jit
    again = kind.from_config(layer.get_config())
    assert again.kernel_of(xla=True) == "cudnn"


@pytest.mark.parametrize("kind", WITH_CUDNN)
def test_auto_takes_cudnn_on_a_gpu_without_xla(kind, gpu):
    layer = kind(4, name="layer")
    assert (layer.kernel_of(xla=False), layer.kernel_of(xla=True)) == ("cudnn", "fused")
    layer(X)
    assert gpu == ["layer"]
    tf.function(layer, jit_compile=True)(tf.constant(X))
    # Neither XLA nor masks nor resets go to cuDNN.
    layer(X, mask=~FLAGS)
    layer(X, reset=FLAGS)
    assert gpu == ["layer"]


@pytest.mark.parametrize(
    ("kind", "options"),
    [
        (bk.layers.LSTM, {"implementation": "fused"}),
        (bk.layers.LSTM, {"implementation": "cell"}),
        (bk.layers.LSTM, {"use_cudnn": False}),
        (bk.layers.LSTM, {"activation": "relu"}),
        (bk.layers.LSTM, {"recurrent_dropout": 0.1}),
        (bk.layers.LSTM, {"use_bias": False}),
        (bk.layers.LSTM, {"unroll": True}),
        (bk.layers.LSTM, {"dtype": "float64"}),
        (bk.layers.GRU, {"reset_after": False}),
        (bk.layers.SimpleRNN, {}),
        # cuDNN knows nothing of what these drop.
        (bk.layers.WeightDropLSTM, {"weight_dropout": 0.5}),
        (bk.layers.ZoneoutLSTM, {"zoneout_h": 0.5}),
        (bk.layers.LayerNormLSTM, {}),
    ],
)
def test_auto_does_not_use_cudnn_for_what_it_cannot_do(kind, options, gpu):
    layer = kind(4, **options)
    assert layer.kernel_of(xla=False) != "cudnn"
    layer(X, training=True)
    assert gpu == []


@pytest.mark.parametrize(
    ("kind", "options", "message"),
    [
        (bk.layers.LSTM, {"implementation": "fast"}, "must be one of .*'fast'"),
        (
            bk.layers.LSTM,
            {"implementation": "native", "activation": "relu"},
            "native kernel does not serve.*does not know these activations",
        ),
        (
            bk.layers.GRU,
            {"implementation": "native", "dtype": "float64"},
            "does not compute in float64",
        ),
        (
            bk.layers.GRU,
            {"implementation": "fused", "reset_after": False},
            "fused kernel does not serve this layer: reset_after=False",
        ),
        (bk.layers.LSTM, {"implementation": True}, "must be one of .*True"),
        (
            bk.layers.LSTM,
            {"implementation": "fused", "activation": "relu"},
            "does not know these activations",
        ),
        (bk.layers.GRU, {"implementation": "fused", "unroll": True}, "unroll=True"),
        (
            bk.layers.GRU,
            {"implementation": "cudnn", "use_cudnn": False},
            "cuDNN does not serve.*use_cudnn=False",
        ),
        (bk.layers.SimpleRNN, {"implementation": "cudnn"}, "cuDNN does not serve"),
        (
            bk.layers.WeightDropLSTM,
            {"implementation": "cell"},
            "fused kernel alone.*implementation='cell'",
        ),
    ],
)
def test_impossible_choices_are_refused(kind, options, message):
    with pytest.raises(ValueError, match=message):
        kind(4, **options)


def trainer(kind, **options):
    model = keras.Sequential([kind(4, return_sequences=True), keras.layers.Dense(1)])
    trainer = bk.TruncatedBPTT(model, window=5, **options)
    trainer.compile("sgd", "mse")
    return trainer


def fit_and_describe(trainer):
    trainer.fit(X, X[..., :1], verbose=0)
    lines = []
    trainer.summary(print_fn=lambda text, **_: lines.append(text))
    return "\n".join(lines)


@pytest.mark.slow
def test_the_summary_says_what_was_asked_for():
    def cell(units, **options):
        return bk.layers.LSTM(units, implementation="cell", **options)

    assert "(LSTM, Keras' loop, as asked for)" in fit_and_describe(trainer(cell))
    assert "(MinGRU, parallel in time)" in fit_and_describe(trainer(bk.layers.MinGRU))


def test_the_summary_says_why_there_is_no_native_kernel(monkeypatch):
    monkeypatch.setattr(probe, "_found", probe.Found("no luck", "no luck"))
    text = fit_and_describe(trainer(bk.layers.LSTM))
    assert "(LSTM, fused kernel (no native one: no luck))" in text


@pytest.mark.slow
def test_the_summary_names_the_instructions():
    if probe.why_not(xla=True):
        pytest.skip("native kernels do not run")
    text = fit_and_describe(trainer(bk.layers.LSTM))
    assert f"(LSTM, native kernel ({probe.instructions('float32')}))" in text


@pytest.mark.slow
def test_the_trainer_runs_cudnn_where_xla_is_off(gpu):
    without, with_xla = (trainer(bk.layers.LSTM) for _ in range(2))
    without.compile("sgd", "mse", jit_compile=False)
    assert "(LSTM, cuDNN)" in fit_and_describe(without)
    assert gpu
    del gpu[:]
    described = fit_and_describe(with_xla)
    assert "(LSTM, fused kernel (no native one: there is a GPU))" in described


@pytest.mark.skipif(not has_gpu(), reason="needs a GPU")
@pytest.mark.parametrize("kind", WITH_CUDNN)
def test_cudnn_equals_the_fused_kernel(kind):
    layers = [kind(4, implementation=choice) for choice in ("auto", "fused")]
    for layer in layers:
        layer.build(X.shape)
        layer.set_weights(layers[0].get_weights())
    assert layers[0].kernel_of(xla=False) == "cudnn"
    results = []
    for layer in layers:
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(tf.sin(3 * layer(X)))
        results.append([loss, *tape.gradient(loss, layer.trainable_variables)])
    for received, expected in zip(*results, strict=True):
        np.testing.assert_allclose(received, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.skipif(not has_gpu(), reason="needs a GPU")
@pytest.mark.parametrize("jit_compile", [True, False])
def test_a_gpu_trains_with_xla_and_with_cudnn(jit_compile):
    losses = []
    for kind in WITH_CUDNN:
        model = keras.Sequential([kind(4, return_sequences=True)])
        trainer = bk.TruncatedBPTT(model, window=3)
        trainer.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
        y = np.zeros((3, 5, 4), "float32")
        losses.append(trainer.fit(X, y, epochs=3, verbose=0).history["loss"])
    for loss in losses:
        assert loss[0] > loss[1] > loss[2]
