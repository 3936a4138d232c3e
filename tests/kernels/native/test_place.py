"""Native code runs where it can, and is never part of what a process saves."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk

X = np.random.default_rng(0).normal(size=(4, 6, 3)).astype("float32")
NATIVE = ("BpttKerasForward", "BpttKerasBackward", "XlaCallModule")
CHOICES = ["auto", "native"]
KINDS = {
    "lstm": lambda **options: bk.layers.LSTM(5, **options),
    "gru": lambda **options: bk.layers.GRU(5, **options),
    "gru, reset before": lambda **options: bk.layers.GRU(
        5, reset_after=False, **options
    ),
    "simple_rnn": lambda **options: bk.layers.SimpleRNN(5, **options),
}


def model_of(choice="auto", kind="lstm", time=None):
    layer = KINDS[kind](return_sequences=True, implementation=choice)
    model = keras.Sequential([keras.Input((time, 3)), layer, keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    return model


def operations(graph):
    """All operations of a graph, and of the functions that it calls."""
    graph = graph.as_graph_def() if hasattr(graph, "as_graph_def") else graph
    nodes = [graph.node, *(f.node_def for f in graph.library.function)]
    return {node.op for of_graph in nodes for node in of_graph}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("choice", CHOICES)
def test_an_eager_call_is_native(choice, kind, counted):
    model = model_of(choice, kind)
    assert counted() == 0
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(model(X))
    tape.gradient(loss, model.trainable_variables)
    assert counted() == 2


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.quick(1)
def test_keras_own_loops_are_native(jit_compile, steps, counted):
    model = model_of()
    options = {"jit_compile": jit_compile, "steps_per_execution": steps}
    model.compile("sgd", "mse", **options)
    model.fit(X, X[..., :1], batch_size=2, verbose=0)
    assert counted() == 4
    model.evaluate(X, X[..., :1], batch_size=2, verbose=0)
    assert counted() == 6
    model.predict(X, batch_size=2, verbose=0)
    assert counted() == 8


@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.quick(1)
def test_a_trainer_is_native(jit_compile, shards, counted):
    trainer = bk.TruncatedBPTT(model_of(), window=3, shards=shards)
    trainer.compile("sgd", "mse", jit_compile=jit_compile)
    runs = [
        lambda: trainer.fit(X, X[..., :1], verbose=0),
        lambda: trainer.evaluate(X, X[..., :1], verbose=0),
        lambda: trainer.predict(X, verbose=0),
    ]
    # The first time, the model is tried out as well.
    for run in runs:
        run()
    for run, calls in zip(runs, (2, 1, 1), strict=True):
        before = counted()
        run()
        assert counted() - before == calls * 2 * shards


@pytest.mark.slow
@pytest.mark.parametrize("option", [{"recompute": 2}, {"stride": 2}])
def test_the_ways_of_a_trainer_give_the_same_numbers(option, native):
    losses = []
    for choice, jit_compile in [("native", True), ("native", False), ("fused", True)]:
        keras.utils.set_random_seed(3)
        trainer = bk.TruncatedBPTT(model_of(choice), window=4, **option)
        trainer.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=jit_compile)
        history = trainer.fit(X, X[..., :1], epochs=3, verbose=0).history
        losses.append(history["loss"])
    np.testing.assert_allclose(losses[0], losses[2], rtol=1e-5)
    np.testing.assert_allclose(losses[1], losses[2], rtol=1e-5)


@pytest.mark.parametrize("choice", CHOICES)
def test_a_function_of_ones_own_holds_no_native_code(choice, native):
    model = model_of(choice)
    function = tf.function(model).get_concrete_function(tf.TensorSpec(X.shape))
    assert not operations(function.graph) & set(NATIVE)


def test_a_function_of_ones_own_that_xla_compiles_is_native(counted):
    model = model_of()
    tf.function(model, jit_compile=True)(X)
    assert counted() == 1


def test_a_function_within_one_holds_no_native_code(counted):
    """TensorFlow may call its trace again, from where XLA does not compile."""
    model = model_of()
    inner = tf.function(model)
    outer = tf.function(lambda x: inner(x), jit_compile=True)
    expected = outer(tf.constant(X))
    np.testing.assert_allclose(inner(tf.constant(X)), expected, atol=1e-6)
    assert counted() == 0


def used_model(choice, kind, path):
    """A model that has run in all ways, and what it predicts."""
    model = model_of(choice, kind)
    trainer = bk.TruncatedBPTT(model, window=3)
    trainer.compile("sgd", "mse")
    trainer.fit(X, X[..., :1], verbose=0)
    model.fit(X, X[..., :1], verbose=0)
    tf.function(model, jit_compile=True)(X)
    expected = np.asarray(model(X))
    np.save(path / "expected.npy", expected)
    np.save(path / "x.npy", X)
    return model


def run_elsewhere(root, folder, program):
    """Runs a program in a process that does without the library."""
    done = subprocess.run(
        [sys.executable, "-c", program],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(root), "BPTT_KERAS_NATIVE": "0"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]


LOAD = """
import numpy as np, tensorflow as tf
x, expected = tf.constant(np.load("x.npy")), np.load("expected.npy")
for name in {names}:
    (result,) = tf.saved_model.load(name).signatures["serving_default"](x).values()
    np.testing.assert_allclose(result, expected, atol=1e-5)
"""
LOAD_KERAS = """
import keras, numpy as np, bptt_keras as bk
x, expected = np.load("x.npy"), np.load("expected.npy")
model = keras.saving.load_model("model.keras")
layer = model.layers[0]
if layer.implementation == "native":
    try:
        model.predict(x, verbose=0)
    except ValueError as error:
        assert "switches it off" in str(error), error
    else:
        raise AssertionError("it runs without the library")
    layer.implementation = "auto"
np.testing.assert_allclose(model(x), expected, atol=1e-5)
np.testing.assert_allclose(model.predict(x, verbose=0), expected, atol=1e-5)
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["lstm", "gru, reset before"])
@pytest.mark.parametrize("choice", CHOICES)
def test_a_saved_model_holds_no_native_code(choice, kind, tmp_path, native, root):
    model = used_model(choice, kind, tmp_path)
    model.export(str(tmp_path / "exported"), verbose=0)
    tf.saved_model.save(model, str(tmp_path / "saved"))
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint(
        "serving_default",
        lambda x: model(x, training=False),
        [tf.TensorSpec((None, None, 3), "float32")],
    )
    archive.write_out(str(tmp_path / "archive"), verbose=0)
    names = ["exported", "saved", "archive"]
    for name in names:
        content = (tmp_path / name / "saved_model.pb").read_bytes()
        assert not [op for op in NATIVE if op.encode() in content]
    run_elsewhere(root, tmp_path, LOAD.format(names=names))


@pytest.mark.slow
@pytest.mark.parametrize("choice", CHOICES)
def test_a_model_is_loaded_where_there_is_no_library(choice, tmp_path, native, root):
    used_model(choice, "lstm", tmp_path).save(tmp_path / "model.keras")
    run_elsewhere(root, tmp_path, LOAD_KERAS)


@pytest.mark.slow
def test_trainers_run_side_by_side(counted):
    def losses(units):
        model = keras.Sequential(
            [
                keras.Input((None, 3)),
                bk.layers.LSTM(units, return_sequences=True),
                keras.layers.Dense(1),
            ]
        )
        rng = np.random.default_rng(units)
        model.set_weights([rng.normal(size=w.shape) / 3 for w in model.get_weights()])
        trainer = bk.TruncatedBPTT(model, window=3, shards=2)
        trainer.compile(keras.optimizers.SGD(0.1), "mse")
        # Without shuffling, whose generator the threads would share.
        history = trainer.fit(X, X[..., :1], epochs=5, shuffle=False, verbose=0)
        return history.history["loss"]

    sizes = [5, 8, 16]
    one_by_one = [losses(units) for units in sizes]
    assert counted() > 0
    with ThreadPoolExecutor(max_workers=3) as executor:
        together = list(executor.map(losses, sizes))
    np.testing.assert_allclose(together, one_by_one, rtol=1e-5)
