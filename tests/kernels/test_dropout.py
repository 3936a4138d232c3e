"""Dropout drops the share that it should, the same with XLA and without."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.kernels.dropout import dropout


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_the_rate_is_met_and_the_mean_is_kept(rate):
    dropped = dropout(tf.ones([200_001]), rate, seed=[3, 4]).numpy()
    # Four standard deviations of a binomial share.
    tolerance = 4 * np.sqrt(rate * (1 - rate) / dropped.size)
    assert abs(np.mean(dropped == 0) - rate) < tolerance
    np.testing.assert_allclose(dropped[dropped > 0], 1 / (1 - rate), rtol=1e-4)


def test_neighbours_are_independent():
    kept = dropout(tf.ones([200_000]), 0.5, seed=[5, 6]).numpy() > 0
    agree = np.mean(kept[::2] == kept[1::2])
    assert abs(agree - 0.5) < 4 * 0.5 / np.sqrt(100_000)


def test_xla_draws_the_same_numbers():
    compiled = tf.function(dropout, jit_compile=True)
    x = tf.ones([7, 11, 3])
    seed = tf.constant([1, 2], tf.int64)
    np.testing.assert_array_equal(compiled(x, 0.3, seed), dropout(x, 0.3, seed))


def test_the_ends_of_the_range_drop_nothing_and_everything():
    x = tf.ones([4, 4])
    np.testing.assert_array_equal(dropout(x, 0.0, [1, 2]), x)
    np.testing.assert_array_equal(dropout(x, 1.0, [1, 2]), 0 * x)


def test_an_axis_of_one_is_dropped_together():
    dropped = dropout(tf.ones([20, 9, 5]), 0.5, [1, 2], (None, 1, None)).numpy()
    assert (dropped == dropped[:, :1]).all()
    assert 0 < dropped.mean() < 2


def test_a_model_with_keras_dropout_draws_at_its_rate():
    model = keras.Sequential([keras.Input((None, 50)), keras.layers.Dropout(0.4)])
    outputs, _ = bk.PureStep(model)(np.ones((20, 30, 50), "float32"), training=True)
    assert abs(np.mean(outputs.numpy() == 0) - 0.4) < 0.01
    inference, _ = bk.PureStep(model)(np.ones((2, 3, 50), "float32"))
    assert (inference.numpy() == 1).all()
