import hashlib

import pytest

from zoo.datasets import Text, from_file
from zoo.errors import UserError


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


def test_own_file_keeps_line_endings_and_drops_the_byte_order_mark(tmp_path):
    path = tmp_path / "my.txt"
    path.write_bytes(b"\xef\xbb\xbf" + b"one\r\ntwo\n" * 20)
    text = from_file(path)
    assert text.name == "my.txt"
    assert text.train + text.validation == "one\r\ntwo\n" * 20


@pytest.mark.parametrize(
    "content, message",
    [
        (b"", "at least 100 characters"),
        (b"short", "at least 100 characters, but .* has 5"),
        (b"a\0b" * 100, "is binary"),
        (b"caf\xe9 " * 100, "is not at byte 3"),
    ],
)
def test_own_file_that_is_no_text_is_refused(tmp_path, content, message):
    path = tmp_path / "my.txt"
    path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        from_file(path)


def test_own_file_that_is_missing_is_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        from_file(tmp_path / "none.txt")
    with pytest.raises(UserError, match="cannot be read"):
        from_file(tmp_path)
