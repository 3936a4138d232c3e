"""Copies of variables, in memory that is used again."""

import pytest
import tensorflow as tf

from bptt_keras.resume.variables import Copies


def values(add=0):
    return [
        tf.constant([1.0, 2.0]) + add,
        tf.constant([[3, 4]], tf.int64) + add,
        tf.constant([5.0, 6.0], tf.bfloat16) + add,
    ]


@pytest.fixture
def variables():
    return [tf.Variable(v) for v in values()]


def test_copies_are_values_and_not_the_variables_own_memory(variables):
    copies = Copies().of([v.read_value() for v in variables])
    for variable in variables:
        variable.assign_add(tf.ones_like(variable))
    for copy, value in zip(copies, values(), strict=True):
        assert copy.tobytes() == value.numpy().tobytes()


def test_memory_is_taken_once(variables):
    copies, rests = Copies(), []
    copies.reserve(variables, rests.append)
    assert len(rests) == 3
    first = copies.of(values())
    addresses = [copy.ctypes.data for copy in first]
    second = copies.of(values(add=1))
    assert [copy.ctypes.data for copy in second] == addresses
    assert second[0].tolist() == [2.0, 3.0]


def test_other_shapes_get_other_memory():
    copies = Copies()
    copies.reserve([tf.Variable([1.0], shape=[None])], lambda seconds: None)
    assert copies.of([tf.constant([1.0, 2.0])])[0].tolist() == [1.0, 2.0]
    assert copies.of([tf.constant([3.0])])[0].tolist() == [3.0]
    pair = copies.of([tf.constant([4.0]), tf.constant([5, 6])])
    assert [copy.tolist() for copy in pair] == [[4.0], [5, 6]]
