"""Norms: as in NumPy, in pieces or not."""

import numpy as np
import pytest
import tensorflow as tf

from bptt_keras.training.clipping.norms import global_norm

SHAPES = [(), (7,), (64, 64), (123, 457), (3, 50, 31)]


def drawn(seed):
    random = np.random.default_rng(seed)
    return [tf.constant(random.normal(size=shape), tf.float32) for shape in SHAPES]


def in_numpy(arrays):
    return np.sqrt(sum(np.square(np.float64(array)).sum() for array in arrays))


@pytest.mark.parametrize("xla", [False, True])
def test_a_norm_is_that_of_all_elements(xla):
    tensors = drawn(0)
    norm = tf.function(global_norm, jit_compile=xla, autograph=False)(tensors)
    np.testing.assert_allclose(norm, in_numpy(tensors), rtol=1e-6)


@pytest.mark.parametrize("xla", [False, True])
def test_a_norm_of_differences_is_that_of_all_elements(xla):
    a, b = drawn(0), drawn(1)
    norm = tf.function(
        lambda a, b: global_norm(a, minus=b), jit_compile=xla, autograph=False
    )(a, b)
    differences = [x.numpy() - y.numpy() for x, y in zip(a, b, strict=True)]
    np.testing.assert_allclose(norm, in_numpy(differences), rtol=1e-6)


@pytest.mark.parametrize("value", [np.nan, np.inf])
@pytest.mark.parametrize("place", [0, 5000, -1])
def test_one_element_that_is_not_finite_shows_in_the_norm(value, place):
    array = np.ones(64 * 79 + 3, "float32")
    array[place] = value
    norm = tf.function(global_norm, jit_compile=True)([tf.constant(array)])
    assert not np.isfinite(norm)


def test_the_norm_of_nothing_is_zero():
    assert float(global_norm([])) == 0.0
