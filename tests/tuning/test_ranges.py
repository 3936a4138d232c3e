import json

import keras_tuner
import numpy as np
import pytest

from bptt_keras.tuning import Range
from bptt_keras.tuning.ranges import check_numbers, declared, is_tuned


@pytest.mark.parametrize("bounds", [("1", 2), (1, None), (True, 2), (1, [2])])
def test_a_bound_must_be_a_number(bounds):
    with pytest.raises(TypeError, match="must be a number. Received"):
        Range(*bounds)


@pytest.mark.parametrize("bounds", [(2, 1), (1, 1), (0.5, 0.5), (float("nan"), 1)])
def test_a_range_must_not_be_empty(bounds):
    with pytest.raises(ValueError, match="must not be empty"):
        Range(*bounds)


@pytest.mark.parametrize("low", [0, 0.0, -1])
def test_a_log_range_must_be_above_0(low):
    with pytest.raises(ValueError, match="above 0. Received: low"):
        Range(low, 1, log=True)


@pytest.mark.parametrize("default", [0, 3, 2.5])
def test_a_default_must_be_in_the_range(default):
    with pytest.raises(ValueError, match="in the range. Received: default"):
        Range(1, 2, default=default)


def test_integer_bounds_make_integers():
    assert Range(1, 2).whole
    assert not Range(1, 2.0).whole
    assert not Range(0.5, 2).whole
    assert Range(1, 2).default == 1
    assert Range(1, 5, default=3).default == 3


def test_numbers_of_numpy_are_numbers():
    made = Range(np.int64(2), np.int32(8))
    assert made.whole and type(made.low) is int and type(made.high) is int
    made = Range(np.float32(0.5), np.float64(2.0))
    assert not made.whole and type(made.low) is float
    hp = keras_tuner.HyperParameters()
    declared(hp, "units", Range(np.int64(2), np.int64(8)))
    declared(hp, "kind", [np.int64(1), np.int64(2)])
    json.dumps(hp.get_config())


def test_each_kind_of_value_becomes_its_hyperparameter():
    hp = keras_tuner.HyperParameters()
    assert declared(hp, "fixed", 7) == 7
    assert declared(hp, "nothing", None) is None
    assert declared(hp, "single", [3]) == 3
    assert declared(hp, "units", Range(4, 8, default=5)) == 5
    assert declared(hp, "rate", Range(1e-3, 1e-1, log=True)) == 1e-3
    assert declared(hp, "rows", (2, 4)) == 2
    kinds = {entry.name: type(entry).__name__ for entry in hp.space}
    assert kinds == {"units": "Int", "rate": "Float", "rows": "Choice"}
    assert hp.space[1].sampling == "log"


def test_a_list_of_integers_and_floats_is_one_of_floats():
    hp = keras_tuner.HyperParameters()
    assert declared(hp, "stride", [1, 0.5]) == 1.0
    assert list(hp.space[0].values) == [1.0, 0.5]


def test_tuned_values_are_distinguished_from_fixed_ones():
    assert is_tuned(Range(1, 2)) and is_tuned([1, 2]) and is_tuned(("a", "b"))
    assert not any(map(is_tuned, (None, 1, 0.5, [1], "ab")))


@pytest.mark.parametrize("allowed", ["a", True, [1, "b"], [1, None], 0.5, [1, 0.5]])
def test_noninteger_values_are_refused(allowed):
    with pytest.raises(TypeError, match="`window` must be integers"):
        check_numbers("window", allowed)


def test_a_range_of_floats_is_not_one_of_integers():
    with pytest.raises(TypeError, match="`window` must be integers"):
        check_numbers("window", Range(1, 2.5))
    check_numbers("rate", Range(1, 2.5), whole=False)


@pytest.mark.parametrize("allowed", [[], (), [1, 1], [1, 2, 1]])
def test_a_list_must_have_different_values(allowed):
    with pytest.raises(ValueError, match="different values"):
        check_numbers("window", allowed)


@pytest.mark.parametrize("allowed", [0, [0, 4], Range(0, 4)])
def test_bounds_hold_for_values_lists_and_ranges(allowed):
    with pytest.raises(ValueError, match="`window` must be at least 1. Received: 0"):
        check_numbers("window", allowed, least=1)
    with pytest.raises(ValueError, match="`rate` must be above 0. Received: 0"):
        check_numbers("rate", allowed, above=0, whole=False)


def test_none_is_always_accepted():
    check_numbers("window", None, least=1)
