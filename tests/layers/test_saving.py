"""Residuals of the backward pass are saved for training and tapes, and only then."""

import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk

# The number of sequences that each saves for the backward pass: h, and its gates.
LAYERS = {bk.layers.LSTM: 3, bk.layers.GRU: 2, bk.layers.SimpleRNN: 1}


def loops(function):
    """Number of loops over time in a function of no arguments."""
    graph = tf.function(function, autograph=False).get_concrete_function().graph
    return sum("While" in op.type for op in graph.get_operations())


@pytest.mark.parametrize("layer_class", LAYERS)
@pytest.mark.parametrize("training", [False, True])
@pytest.mark.quick(3)
def test_the_forward_pass_runs_once(layer_class, training):
    layer = layer_class(3, return_sequences=True)
    x = tf.ones((2, 5, 4))
    layer(x)

    def forward():
        return layer(x, training=training)

    def both():
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(layer(x, training=training))
        return tape.gradient(loss, layer.trainable_variables)

    assert loops(forward) == 1
    assert loops(both) == 2


@pytest.mark.parametrize("layer_class", LAYERS)
def test_without_a_backward_pass_only_outputs_are_stored(layer_class):
    layer = layer_class(3, return_sequences=True)
    x = tf.ones((2, 5, 4))
    layer(x)

    def stores(training):
        function = tf.function(lambda: layer(x, training=training), autograph=False)
        graph = function.get_concrete_function().graph
        return sum(op.type == "TensorListReserve" for op in graph.get_operations())

    assert stores(training=False) == 1
    assert stores(training=True) == LAYERS[layer_class]


@pytest.mark.parametrize("layer_class", LAYERS)
def test_a_tape_that_was_not_detected_gets_the_same_gradients(layer_class):
    """A function that was traced without a tape can still be differentiated."""
    x = tf.constant(np.random.default_rng(0).normal(size=(2, 5, 4)), tf.float32)
    layer = layer_class(3, return_sequences=True)
    layer(x)
    function = tf.function(lambda: layer(x), autograph=False)
    function()
    found = []
    for outputs in (function, lambda: layer(x, training=True)):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(outputs() ** 2)
        found.append(tape.gradient(loss, layer.trainable_variables))
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
