import pytest

from zoo.datasets import Text
from zoo.products.kinds import PRODUCTS, product_of
from zoo.tasks import TASKS
from zoo.texts.encoded import Characters

TEXTS = PRODUCTS["text"]


@pytest.mark.parametrize("name", TASKS)
def test_each_task_says_what_its_models_make(name):
    assert product_of(TASKS[name]) is PRODUCTS[TASKS[name].MAKES]


def test_unknown_characters_of_the_whole_text_are_reported(untrained):
    data = Characters.of(Text("x", "to be", "to be!!", ""))
    assert TEXTS.remarks(data, untrained)[0].startswith("28.57% of the characters")
    assert TEXTS.remarks(data, untrained, "whole")[0].startswith("16.67%")


def test_the_sample_begins_with_what_is_known(untrained, tmp_path, capsys):
    data = Characters.of(Text("x", "!to be", "?!"), untrained.vocabulary)
    TEXTS.conclude(tmp_path, data, untrained)
    assert (tmp_path / "sample.txt").read_text(encoding="utf-8").startswith("t")
    assert "a sample, at temperature 0.8" in capsys.readouterr().out
