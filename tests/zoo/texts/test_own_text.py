import pytest

from zoo.datasets import from_file
from zoo.system.errors import UserError
from zoo.texts.own_text import read_text

PLAIN = "one\ntwo\n" * 20


def written(path, content):
    path.write_bytes(content)
    return path


def whole(text):
    return text.train + text.validation


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"one\r\ntwo\r\n" * 20, "line endings CRLF read as LF"),
        (b"one\rtwo\r" * 20, "line endings CR read as LF"),
        (b"one\r\ntwo\n" * 20, "line endings CRLF read as LF"),
        (b"one\r\ntwo\r" * 20, "line endings CRLF and CR read as LF"),
        (b"\xef\xbb\xbf" + PLAIN.encode(), "UTF-8 with a byte order mark"),
        (PLAIN.encode("utf-16"), "UTF-16 with a byte order mark"),
        (b"\xfe\xff" + PLAIN.encode("utf-16-be"), "UTF-16 with a byte order mark"),
        (PLAIN.encode("utf-32"), "UTF-32 with a byte order mark"),
    ],
)
def test_other_line_endings_and_marks_give_the_same_text(
    tmp_path, capsys, content, said
):
    # Each line is said once in a process, so each file has a name of its own.
    path = written(tmp_path / f"{abs(hash(content))}.txt", content)
    assert whole(from_file(path)) == PLAIN
    assert from_file(path).name == path.name
    line = f"read {path.name}: 160 characters, 6 different, {said}"
    assert capsys.readouterr().err.splitlines() == [line]


def test_a_plain_file_is_read_silently(tmp_path, capsys):
    assert whole(from_file(written(tmp_path / "a.txt", PLAIN.encode()))) == PLAIN
    assert capsys.readouterr().err == ""


def test_an_encoding_can_be_named(tmp_path):
    path = written(tmp_path / "a.txt", ("café\n" * 30).encode("cp1252"))
    assert whole(from_file(path, encoding="cp1252")) == "café\n" * 30


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "at least 100 characters"),
        (b"short", "at least 100 characters, but .* has 5"),
        (b"abc\na\0b" * 100, "is binary: line 2 has a null character"),
        (PLAIN.encode("utf-16-le"), "is binary: line 1 .* --encoding utf-16-le"),
        (
            b"ab\ncaf\xe9 " * 100,
            r"UTF-8, but .* is not at byte 6 \(line 2, 0xe9\). .*--encoding cp1252",
        ),
        (b"\xff\xfea", "must be text in UTF-16-LE"),
        (b"\xed\xa0\x80" * 100, "is not at byte 0"),
    ],
)
def test_a_file_that_is_not_text_is_refused(tmp_path, content, message):
    with pytest.raises(UserError, match=message):
        from_file(written(tmp_path / "my.txt", content))


@pytest.mark.parametrize("encoding", ["no-such", "hex", "", "rot13", "a\0b"])
def test_an_invalid_text_encoding_is_refused(tmp_path, encoding):
    path = written(tmp_path / "my.txt", PLAIN.encode())
    with pytest.raises(UserError, match="`--encoding` must be a text encoding"):
        read_text(path, encoding=encoding)


def test_halves_of_characters_are_refused(tmp_path):
    path = written(tmp_path / "my.txt", rb"\ud800 " * 100)
    with pytest.raises(UserError, match="is no text in unicode_escape"):
        read_text(path, encoding="unicode_escape")


def test_a_name_that_no_terminal_shows_is_made_plain(tmp_path):
    path = written(tmp_path / "a\n\udcff.txt", PLAIN.encode())
    assert from_file(path).name == "a\ufffd\ufffd.txt"


def test_a_missing_or_irregular_file_is_refused(tmp_path):
    with pytest.raises(UserError, match="does not exist"):
        from_file(tmp_path / "none.txt")
    with pytest.raises(UserError, match="`--data` "):
        from_file(tmp_path)


def test_a_file_above_the_limit_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "sparse.txt"
    with path.open("wb") as file:
        file.truncate(2**40)
    with pytest.raises(UserError, match="1,099,511,627,776 bytes"):
        from_file(path)


def test_a_fraction_or_a_file_validates_and_a_file_tests(tmp_path):
    path = written(tmp_path / "a.txt", PLAIN.encode())
    other = written(tmp_path / "b.txt", b"three\r\n")
    text = from_file(path, validation="0.5", test=other)
    assert (text.train, text.validation) == (PLAIN[:80], PLAIN[80:])
    assert text.test == "three\n" and text.fraction == 0.5
    text = from_file(path, validation=other)
    assert (text.train, text.validation, text.test) == (PLAIN, "three\n", "")
    assert text.fraction is None


@pytest.mark.parametrize("validation", [0, 0.51, "1", "-0.1", "nan"])
def test_a_fraction_out_of_range_is_refused(tmp_path, validation):
    path = written(tmp_path / "a.txt", PLAIN.encode())
    with pytest.raises(UserError, match=r"must be a fraction in \(0, 0.5\], or a file"):
        from_file(path, validation=validation)


def test_the_option_that_names_a_missing_file_is_named(tmp_path):
    path = written(tmp_path / "a.txt", PLAIN.encode())
    with pytest.raises(UserError, match="`--validation` names a file that does not"):
        from_file(path, validation=tmp_path / "none")
