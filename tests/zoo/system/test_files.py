import errno
import json
import os

import pytest

from zoo.system.errors import UserError, ZooError
from zoo.system.files import atomic_path, write_json
from zoo.system.folders import new_folder


def test_file_appears_only_when_it_is_complete(tmp_path):
    path = tmp_path / "file.json"
    path.write_text("old")
    with pytest.raises(KeyError), atomic_path(path) as temporary:
        temporary.write_text("half")
        raise KeyError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_json_keeps_order_and_characters(tmp_path):
    write_json(tmp_path / "a.json", {"b": "é", "a": 1})
    assert list(json.loads((tmp_path / "a.json").read_text("utf-8"))) == ["b", "a"]
    assert "é" in (tmp_path / "a.json").read_text("utf-8")


@pytest.mark.parametrize(
    "code, kind, words",
    [
        (errno.ENOSPC, ZooError, "There is no room for"),
        (errno.EACCES, UserError, "cannot be written"),
    ],
)
def test_errors_name_the_file_that_was_asked_for(tmp_path, code, kind, words):
    for context, name in ((atomic_path, "a.json"), (new_folder, "preset")):
        path = tmp_path / name
        with pytest.raises(ZooError, match=words) as caught, context(path) as temporary:
            raise OSError(code, os.strerror(code), str(temporary))
        assert type(caught.value) is kind
        assert str(path) in str(caught.value) and temporary.name not in str(
            caught.value
        )
    assert list(tmp_path.iterdir()) == []


def test_errors_of_other_files_are_left_as_they_are(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_path(tmp_path / "a.json"):
        (tmp_path / "nowhere").read_text()
