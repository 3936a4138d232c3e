import os

import pytest

from zoo.system.errors import UserError
from zoo.system.reading import parse_json, read_bytes, read_json


def test_json_is_read_unchanged(tmp_path):
    path = tmp_path / "a.json"
    path.write_text('{"a": [1, 2.5, null, "\\ud83d\\ude00"]}')
    assert read_json(path) == {"a": [1, 2.5, None, "\N{GRINNING FACE}"]}


@pytest.mark.parametrize("depth", [1, 32])
def test_json_may_be_nested(depth):
    assert parse_json(b"[" * depth + b"]" * depth) is not None


@pytest.mark.parametrize("depth", [33, 600, 5_000, 400_000])
def test_json_that_is_nested_deeper_is_refused(depth):
    for begin, end in ((b"[", b"]"), (b'{"a":', b"}")):
        with pytest.raises(ValueError, match="nested more than 32 deep"):
            parse_json(begin * depth + b"1" + end * depth)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"\xff",
        b"[" + b"{}," * 600_000 + b"1]",
        b'"\\ud800"',
        b'{"\\uDC00": 1}',
        b"1" * 5_000,
    ],
)
def test_other_json_is_refused(content):
    with pytest.raises(ValueError):
        parse_json(content)


def test_the_file_is_named(tmp_path):
    path = tmp_path / "a.json"
    with pytest.raises(UserError, match="The recipe .*a.json is missing."):
        read_json(path, what="The recipe")
    path.write_text("{")
    with pytest.raises(UserError, match="The recipe .*a.json is damaged: Expecting"):
        read_json(path, what="The recipe")
    with pytest.raises(UserError, match="it has 1 bytes, and at most 0 are read"):
        read_json(path, at_most=0)


def test_a_pipe_is_never_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for read in (read_bytes, read_json):
        with pytest.raises(UserError, match="it is a pipe or a device"):
            read(tmp_path / "pipe")


def test_an_invalid_file_name_is_refused():
    with pytest.raises(UserError, match="cannot be read as a file"):
        read_bytes("a\0b")
