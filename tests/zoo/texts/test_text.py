import hashlib

import pytest

from zoo.datasets import Text


@pytest.mark.parametrize(
    "length, train", [(1_115_394, 1_003_854), (101, 90), (10, 9), (1, 0)]
)
def test_cut_gives_nine_tenths_rounded_down_to_training(length, train):
    text = Text.cut("x", "a" * length)
    assert (len(text.train), len(text.validation)) == (train, length - train)


def test_description_holds_checksum_and_sizes():
    text = Text.cut("x", "é" * 20, source="somewhere")
    assert text.describe() == {
        "name": "x",
        "sha256": hashlib.sha256(("é" * 20).encode()).hexdigest(),
        "train_characters": 18,
        "validation_characters": 2,
        "source": "somewhere",
    }


def test_a_cut_says_what_fraction_validates():
    text = Text.cut("x", "a" * 100, 0.25)
    assert (len(text.train), len(text.validation)) == (75, 25)
    assert text.fraction == 0.25
    assert Text("x", "a", "b").fraction is None
