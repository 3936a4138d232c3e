import numpy as np
import pytest

from zoo.datasets import Vocabulary


def test_ids_are_places_in_sorted_order():
    vocabulary = Vocabulary.of("banana")
    np.testing.assert_array_equal(vocabulary.encode("abn"), [0, 1, 2])


def test_decode_inverts_encode():
    text = "Zürich – 12 °C\n\t{…} \N{GRINNING FACE}"
    vocabulary = Vocabulary.of(text)
    assert vocabulary.decode(vocabulary.encode(text)) == text


def test_unseen_characters_share_the_last_id():
    vocabulary = Vocabulary.of("abc")
    ids = vocabulary.encode("a!\N{GRINNING FACE}\0c")
    np.testing.assert_array_equal(ids, [0, 3, 3, 3, 2])
    assert vocabulary.unknown_id == vocabulary.size - 1 == 3
    assert vocabulary.decode([3]) == "\N{REPLACEMENT CHARACTER}"


def test_missing_names_the_unseen_characters():
    assert Vocabulary.of("abc").missing("cab!?!") == ["!", "?"]


def test_empty_text_encodes_to_no_ids():
    assert Vocabulary.of("abc").encode("").shape == (0,)


@pytest.mark.parametrize("characters", ["", "ba", "aa", ["ab"], [1, 2]])
def test_characters_out_of_order_are_refused(characters):
    with pytest.raises(ValueError, match="`characters` must be"):
        Vocabulary(characters)
