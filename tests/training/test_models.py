"""Models of every shape go through the whole trainer, in windows."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from tests.state.models import MODELS, ROWS

pytestmark = pytest.mark.both_ways

WINDOW = 4
# Outputs of one model with a time axis and without have no windows in common.
MIXED = {"subclassed in subclassed", "static input, repeated", "last states"}
QUICK = {"dicts", "several inputs and outputs", "static input, added"}


def targets_like(outputs):
    return tf.nest.map_structure(lambda t: np.zeros(t.shape, "float32"), outputs)


def models(names):
    """Names of models, those that take long marked as slow."""
    slow = pytest.mark.slow
    return [n if n in QUICK else pytest.param(n, marks=slow) for n in sorted(names)]


@pytest.mark.parametrize("name", models(set(MODELS) - MIXED))
@pytest.mark.quick(1)
def test_it_trains_evaluates_and_predicts_in_windows(name):
    keras.utils.set_random_seed(20)
    model, inputs = MODELS[name]()
    expected = model(inputs)
    targets = targets_like(expected)
    trainer = bk.TruncatedBPTT(model, WINDOW, shards=1)
    losses = tf.nest.map_structure(lambda _: "mse", targets)
    trainer.compile(keras.optimizers.SGD(0.05), losses, jit_compile=False)
    outputs = trainer.predict(inputs, batch_size=ROWS, verbose=0)
    tf.nest.map_structure(
        # Convolutions in another order.
        lambda a, b: np.testing.assert_allclose(a, b, atol=2e-6),
        tf.nest.flatten(outputs),
        tf.nest.flatten(expected),
    )
    before = [v.numpy() for v in model.trainable_variables]
    first = trainer.evaluate(inputs, targets, batch_size=ROWS, verbose=0)
    trainer.fit(inputs, targets, batch_size=ROWS, epochs=5, shuffle=False, verbose=0)
    after = trainer.evaluate(inputs, targets, batch_size=ROWS, verbose=0)
    assert np.ravel(after)[0] < np.ravel(first)[0]
    moved = [
        np.abs(a - v.numpy()).max() > 0
        for a, v in zip(before, model.trainable_variables, strict=True)
    ]
    assert np.mean(moved) > 0.5


def test_time_mixing_by_operations_is_refused_by_name():
    inputs = keras.Input((None, 3))
    hidden = bk.layers.GRU(4, return_sequences=True)(inputs)
    mean = keras.layers.Lambda(
        lambda h: h - keras.ops.mean(h, axis=1, keepdims=True), name="centred"
    )(hidden)
    trainer = bk.TruncatedBPTT(keras.Model(inputs, mean), 4)
    trainer.compile("sgd", "mse", jit_compile=False)
    x = np.ones((2, 9, 3), "float32")
    with pytest.raises(ValueError, match="'centred'"):
        trainer.fit(x, np.zeros((2, 9, 4)), verbose=0)


@pytest.mark.parametrize("name", sorted(MIXED))
@pytest.mark.quick(2)
def test_outputs_with_a_time_axis_and_without_are_refused_together(name):
    model, inputs = MODELS[name]()
    trainer = bk.TruncatedBPTT(model, WINDOW)
    trainer.compile("sgd", "mse", jit_compile=False)
    with pytest.raises(ValueError, match="All outputs must have a time axis, or none"):
        trainer.predict(inputs, batch_size=ROWS, verbose=0)
