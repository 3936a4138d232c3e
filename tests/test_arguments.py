import numpy as np
import pytest

from bptt_keras.arguments import is_real, is_whole, real, whole


@pytest.mark.parametrize("value", [0, -3, np.int64(5)])
def test_integers_of_any_kind_are_whole(value):
    assert is_whole(value) and is_real(value)


@pytest.mark.parametrize("value", [True, np.bool_(True), "1", None, [1]])
def test_booleans_and_other_objects_are_not_numbers(value):
    assert not is_whole(value) and not is_real(value)


def test_noninteger_values_are_refused_with_their_type():
    with pytest.raises(TypeError, match="an integer number of timesteps. .*type float"):
        whole("window", 2.0)
    with pytest.raises(TypeError, match="`rows` must be an integer. Received: rows=Tr"):
        whole("rows", True, unit=None)


def test_a_bound_is_named_with_its_unit():
    with pytest.raises(ValueError, match="at least 2 epochs. Received: every=1"):
        whole("every", 1, least=2, unit="epochs")
    with pytest.raises(ValueError, match="must be at least 1. Received: rows=0"):
        whole("rows", 0, unit=None)


def test_integers_are_returned_as_python_integers():
    assert type(whole("window", np.int64(5))) is int


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_refused(value):
    with pytest.raises(ValueError, match="`rate` must be finite"):
        real("rate", value)


def test_all_violated_bounds_are_named():
    with pytest.raises(ValueError, match="above 0 and at least 1. Received: rate=0"):
        real("rate", 0, above=0, least=1, below=5, most=5)
    assert real("rate", 1, above=0, least=1, most=1) == 1.0
