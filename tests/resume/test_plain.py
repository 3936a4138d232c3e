"""The state of objects as plain values."""

import json
import random
from pathlib import Path

import keras
import ml_dtypes
import numpy as np
import pytest

from bptt_keras.resume import plain


def through_json(value):
    arrays = plain.Arrays()
    return plain.decoded(json.loads(json.dumps(plain.encoded(value, arrays))), arrays)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        3,
        0.1 + 0.2,
        float("inf"),
        "text",
        [1, [2.5, None]],
        (1, (2, "a")),
        {"a": 1, 2: (3,), "b": {"c": []}},
        np.float32(0.1),
        np.int64(7),
    ],
    ids=repr,
)
def test_plain_values_come_back_as_they_were(value):
    found = through_json(value)
    assert found == value and type(found) is type(value)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.array([True, False]),
        np.array([1.5, -2.0], ml_dtypes.bfloat16),
        np.zeros((0, 3), "float16"),
        np.array(3),
    ],
    ids=lambda array: str(array.dtype),
)
def test_arrays_come_back_as_they_were(array):
    found = through_json(array)
    assert found.dtype == array.dtype and found.shape == array.shape
    assert found.tobytes() == array.tobytes()


def test_nan_comes_back():
    assert np.isnan(through_json(float("nan")))


class Owner:
    def __init__(self, seed):
        self.python, self.numpy = random.Random(seed), np.random.default_rng(seed)
        self.count, self.name, self.smaller = seed, f"log {seed}", keras.ops.less
        self.where, self.lock = Path("here"), object()


def test_an_object_goes_on_from_the_state_of_another():
    one, other, arrays = Owner(1), Owner(2), plain.Arrays()
    one.python.random(), one.numpy.normal()
    state, missing = plain.state_of(one, arrays)
    assert missing == ["lock"]
    plain.restore(other, json.loads(json.dumps(state)), arrays)
    assert other.python.random() == one.python.random()
    assert other.numpy.normal() == one.numpy.normal()
    assert other.count == 1 and other.smaller is keras.ops.less
    assert other.name == "log 2"
