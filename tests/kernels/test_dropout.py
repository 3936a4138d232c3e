"""Dropout drops the right fraction, the same with and without XLA."""

import threading

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.kernels.dropout import dropout, keep_by_timestep, starting_at

# (shape, noise shape): draws that fill whole blocks of the stream, that do not, that
# share an axis, and more axes than three.
CASES = [
    ((4, 9, 8), None),
    ((3, 9, 5), None),
    ((3, 9, 5), (None, None, 1)),
    ((2, 9, 3, 2), (None, 9, None, None)),
]
SEED = tf.constant([1, 2], tf.int64)


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


def at(start, x, noise_shape=None):
    with starting_at(start):
        return dropout(x, 0.3, SEED, noise_shape).numpy()


@pytest.mark.parametrize(("shape", "noise_shape"), CASES)
def test_a_window_drops_what_the_whole_sequence_drops(shape, noise_shape):
    x, noise = tf.ones(shape), noise_shape and (None, None, *noise_shape[2:])
    whole = dropout(x, 0.3, SEED, noise_shape).numpy()
    np.testing.assert_array_equal(at(0, x[:, :4], noise), whole[:, :4])
    np.testing.assert_array_equal(at(4, x[:, 4:], noise), whole[:, 4:])
    np.testing.assert_array_equal(at(4, x[:, 4:5], noise), whole[:, 4:5])


@pytest.mark.parametrize(("shape", "noise_shape"), CASES)
def test_the_position_in_time_may_be_a_tensor_even_under_xla(shape, noise_shape):
    @tf.function(jit_compile=True)
    def window(x, start):
        with starting_at(start):
            return dropout(x, 0.3, SEED, noise_shape)

    x = tf.ones(shape)
    for start in (0, 7):
        np.testing.assert_array_equal(
            window(x, tf.constant(start)), at(start, x, noise_shape)
        )


def test_a_late_position_in_time_is_distinct():
    """Beyond what a 32-bit counter of draws would hold."""
    x = tf.ones([64, 2, 256])
    late = at(2**31 - 2, x)
    np.testing.assert_array_equal(at(2**31 - 1, x)[:, 0], late[:, 1])
    assert (late != at(0, x)).mean() > 0.3


def test_timesteps_are_independent():
    kept = at(0, tf.ones([200, 50, 30])) > 0
    agree = np.mean(kept[:, 1:] == kept[:, :-1])
    # Two draws agree with probability 0.3^2 + 0.7^2 = 0.58.
    assert abs(agree - 0.58) < 4 * 0.5 / np.sqrt(200 * 49 * 30)


def test_without_a_time_axis_the_position_in_time_has_no_effect():
    for x, noise in [
        (tf.ones([20, 30]), None),
        (tf.ones([20, 3, 30]), (None, 1, None)),
    ]:
        np.testing.assert_array_equal(at(5, x, noise), at(0, x, noise))


def test_the_position_in_time_is_local_to_its_thread_and_block():
    x = tf.ones([3, 4, 5])
    other = []
    with starting_at(3):
        with starting_at(5):
            np.testing.assert_array_equal(dropout(x, 0.3, SEED), at(5, x))
        thread = threading.Thread(target=lambda: other.append(dropout(x, 0.3, SEED)))
        thread.start()
        thread.join()
        np.testing.assert_array_equal(dropout(x, 0.3, SEED), at(3, x))
    np.testing.assert_array_equal(other[0], at(0, x))
    np.testing.assert_array_equal(dropout(x, 0.3, SEED), at(0, x))


def test_booleans_by_timestep_are_those_of_dropout():
    for start in (0, 3):
        with starting_at(start):
            keep = keep_by_timestep((3, 9, 5), 0.3, SEED)
        np.testing.assert_array_equal(keep, at(start, tf.ones([3, 9, 5])) > 0)
    assert keep_by_timestep((3, 9, 5), 0.0, SEED).numpy().all()
    assert not keep_by_timestep((3, 9, 5), 1.0, SEED).numpy().any()


def test_unknown_sizes_draw_the_same_numbers():
    unknown = tf.function(
        lambda x: dropout(x, 0.3, SEED),
        input_signature=[tf.TensorSpec([None, None, 5])],
    )
    x = tf.ones([3, 9, 5])
    np.testing.assert_array_equal(unknown(x), at(0, x))


def test_the_ends_of_the_range_drop_nothing_and_everything():
    x = tf.ones([4, 4])
    np.testing.assert_array_equal(dropout(x, 0.0, [1, 2]), x)
    np.testing.assert_array_equal(dropout(x, 1.0, [1, 2]), 0 * x)


def test_an_axis_of_size_one_is_dropped_together():
    dropped = dropout(tf.ones([20, 9, 5]), 0.5, [1, 2], (None, 1, None)).numpy()
    assert (dropped == dropped[:, :1]).all()
    assert 0 < dropped.mean() < 2


def test_a_model_with_keras_dropout_drops_at_its_rate():
    model = keras.Sequential([keras.Input((None, 50)), keras.layers.Dropout(0.4)])
    outputs, _ = bk.PureStep(model)(np.ones((20, 30, 50), "float32"), training=True)
    assert abs(np.mean(outputs.numpy() == 0) - 0.4) < 0.01
    inference, _ = bk.PureStep(model)(np.ones((2, 3, 50), "float32"))
    assert (inference.numpy() == 1).all()
