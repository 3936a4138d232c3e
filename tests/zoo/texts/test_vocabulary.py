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


def test_the_most_frequent_of_many_characters_are_known():
    vocabulary = Vocabulary.of("aaabbcd", at_most=2)
    assert vocabulary.characters == ("a", "b")
    assert list(vocabulary.encode("abcd")) == [0, 1, 2, 2]


def test_a_long_text_is_encoded_piece_by_piece(monkeypatch):
    monkeypatch.setattr("zoo.texts.vocabulary.PIECE", 3)
    ids = Vocabulary.of("abc").encode("abcabca\ud800")
    assert list(ids) == [0, 1, 2, 0, 1, 2, 0, 3]


def test_its_description_is_brief():
    assert Vocabulary.of("abc").known == "'abc'"
    many = Vocabulary.of("".join(map(chr, range(0x4E00, 0x4E00 + 5_000))))
    assert many.known.endswith("and 4,800 others") and len(many.known) < 250
