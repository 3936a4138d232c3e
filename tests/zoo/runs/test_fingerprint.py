import dataclasses

import numpy as np
import pytest

from zoo.datasets import Vocabulary
from zoo.recipes.recipe import Training
from zoo.runs.fingerprint import digest


@dataclasses.dataclass(frozen=True)
class Data:
    name: str
    values: object
    recipe: Training = Training()


def test_equal_data_have_one_checksum():
    first, second = (Data("a", {"x": [np.arange(3), "text"]}) for _ in range(2))
    assert digest(first) == digest(second)
    assert digest(Vocabulary.of("abc")) == digest(Vocabulary.of("cab"))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.arange(3), np.arange(3.0)),
        (np.zeros((2, 3)), np.zeros((3, 2))),
        (np.array([0.0, 1.0]), np.array([0.0, 1.0000001])),
        (["ab"], ["a", "b"]),
        (["a", ["b"]], [["a"], "b"]),
        ({"a": 1}, {"a": 2}),
        (1, True),
        ("1", b"1"),
        (np.array(["a"], object), np.array(["b"], object)),
        (Vocabulary.of("abc"), Vocabulary.of("abd")),
    ],
)
def test_different_data_have_different_checksums(one, other):
    assert digest(Data("a", one)) != digest(Data("a", other))


def test_the_recipe_does_not_change_the_checksum():
    assert digest(Data("a", 1, Training(epochs=3))) == digest(Data("a", 1))


def test_objects_without_a_plain_value_are_refused():
    with pytest.raises(TypeError, match="no checksum of range_iterator"):
        digest(iter(range(3)))
