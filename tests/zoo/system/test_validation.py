import pytest

from zoo.system.validation import Closed, Count, Number, Open, Text, validate


class Inner(Closed):
    size: Count


class Outer(Open):
    inner: Inner
    level: Number = 1.0
    levels: dict[str, Number] = {}
    name: Text = ""


GOOD = {"inner": {"size": 3}}


@pytest.mark.parametrize("level", [1, 2**60, -1.5])
def test_numbers_are_floats_and_integers(level):
    assert validate(Outer, {**GOOD, "level": level}).level == level


@pytest.mark.parametrize(
    "level", [True, "1", None, [1], 10**400, float("nan"), float("inf")]
)
def test_nonfinite_numbers_are_refused(level):
    with pytest.raises(ValueError, match="^level is not what it must be$"):
        validate(Outer, {**GOOD, "level": level})


@pytest.mark.parametrize("size", [-1, 2**53, 1.0, True, 10**400, "3"])
def test_an_invalid_count_is_refused_with_its_path(size):
    with pytest.raises(ValueError, match="^inner: size is not what it must be$"):
        validate(Outer, {"inner": {"size": size}})


def test_missing_and_extra_fields_are_named():
    with pytest.raises(ValueError, match="^'inner' is missing$"):
        validate(Outer, {})
    with pytest.raises(ValueError, match="^'more' is not known here$"):
        validate(Outer, {"inner": {"size": 3, "more": 4}})
    assert validate(Outer, {**GOOD, "more": 4}).inner.size == 3


@pytest.mark.parametrize("value", [None, [], "x", 3])
def test_values_that_are_not_objects_are_refused(value):
    with pytest.raises(ValueError, match="^it is not what it must be$"):
        validate(Outer, value)


def test_an_error_has_no_names_of_the_file_and_is_short():
    with pytest.raises(ValueError, match="^levels is not"):
        validate(Outer, {**GOOD, "levels": {"x" * 1000: "1"}})
    with pytest.raises(ValueError) as caught:
        validate(
            Outer, {**GOOD, "level": "x" * 1000}, wrong="{field} is {kind} {value}"
        )
    assert str(caught.value).startswith("level is str 'xxx")
    assert len(str(caught.value)) < 150
    with pytest.raises(ValueError) as caught:
        validate(Outer, {"inner": {"size": 3, "x" * 1000: 4}})
    assert len(str(caught.value)) < 150


def test_text_with_control_characters_is_refused():
    with pytest.raises(ValueError, match="has a control character"):
        validate(Outer, {**GOOD, "name": "\x1b[2J"})
