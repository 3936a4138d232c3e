import numpy as np
import pytest

from zoo.datasets import Words
from zoo.texts.words import as_words


def test_the_most_frequent_word_comes_first_and_unk_and_eos_are_always_there():
    words = Words.of(as_words("b a b\nb c\n"))
    assert words.words == ("b", "<eos>", "a", "c", "<unk>")
    assert Words.of(["a"]).words == ("a", "<unk>", "<eos>")
    assert words.size == 5 and words.unknown_id == 4


def test_rare_words_have_no_id_of_their_own():
    words = Words.of(as_words("b a b c\n"), min_count=2)
    assert words.words == ("b", "<unk>", "<eos>")
    np.testing.assert_array_equal(words.encode("a b\nz"), [1, 0, 2, 1])
    assert words.missing("z a b a") == ["a", "z"]


def test_the_most_frequent_of_many_words_are_known():
    words = Words.of("b b b a a c".split(), at_most=2)
    assert words.words == ("b", "a", "<unk>", "<eos>")


def test_strings_longer_than_any_word_are_not_words():
    assert Words.of(["a" * 101, "a" * 100]).words[0] == "a" * 100


def test_an_unk_of_the_text_is_the_unknown_word():
    words = Words.of(as_words("<unk> a <unk>\n"))
    assert words.unknown_id == 0
    np.testing.assert_array_equal(words.encode("<unk> b"), [0, 0])
    assert words.missing("<unk>") == []


@pytest.mark.parametrize("text", [" a b\n", " a\n\n\nb\nb", "\n", ""])
def test_decoded_text_can_follow_another_and_is_encoded_the_same(text):
    words = Words(["a", "b", "<eos>", "<unk>"])
    ids = words.encode(text)
    assert words.decode(ids) == text
    np.testing.assert_array_equal(words.encode("b" + words.decode(ids)), [1, *ids])


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["<unk>", "<eos>", "a b"], "without white space. Received: 'a b'"),
        (["<unk>", "<eos>", ""], "without white space"),
        (["<unk>", "<eos>", 3], "without white space"),
        (["<unk>", "<eos>", "a", "a"], "must be distinct. Received: 4 words, 3"),
        (["a", "<eos>"], "must have <unk>"),
        (["a", "<unk>"], "must have <eos>"),
    ],
)
def test_an_invalid_list_of_words_is_refused(words, message):
    with pytest.raises(ValueError, match=message):
        Words(words)
