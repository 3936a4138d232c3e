import pytest

from zoo.plain.suggestions import did_you_mean


@pytest.mark.parametrize("word", ["ecko-8", "ECHO-8", "echo8", "eco-8"])
def test_a_near_word_is_suggested(word):
    assert did_you_mean(word, ["etth1", "echo-8"]) == " Did you mean echo-8?"


def test_nothing_is_suggested_where_nothing_is_near():
    assert did_you_mean("penguin", ["etth1", "echo-8"]) == ""
    assert did_you_mean("", []) == ""
