import os

import pytest

from bptt_keras.files import new_folder, recover_folder, write_durably, write_whole


def test_a_text_is_replaced_atomically(tmp_path):
    path = tmp_path / "best.json"
    write_whole(path, "ä\n")
    write_whole(path, "b\n")
    assert path.read_bytes() == b"b\n"
    assert [p.name for p in tmp_path.iterdir()] == ["best.json"]


def test_a_text_that_cannot_be_written_leaves_the_old_one(tmp_path, monkeypatch):
    path = tmp_path / "best.json"
    write_whole(path, "old")

    def fail(*_):
        raise OSError("no space")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["best.json"]


def test_line_ends_are_the_same_everywhere(tmp_path):
    write_durably(tmp_path / "a", "1\n2\n")
    assert (tmp_path / "a").read_bytes() == b"1\n2\n"


def test_the_folder_of_a_text_is_made(tmp_path):
    assert write_whole(tmp_path / "a" / "b" / "c.txt", "c").read_text() == "c"


def write_folder(path, text):
    with new_folder(path) as new:
        (new / "text").write_text(text)


def test_a_folder_that_fails_leaves_the_old_one(tmp_path):
    path = tmp_path / "state"
    write_folder(path, "old")
    with pytest.raises(OSError, match="no space"), new_folder(path) as new:
        (new / "text").write_text("new")
        raise OSError("no space")
    assert (path / "text").read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["state"]


def test_a_folder_is_whole_after_a_kill_between_its_renames(tmp_path, monkeypatch):
    path, real = tmp_path / "state", os.replace
    write_folder(path, "old")

    class Kill(BaseException):
        pass

    def replace(old, new):
        if os.fspath(new) == os.fspath(path):
            raise Kill
        real(old, new)

    monkeypatch.setattr(os, "replace", replace)
    with pytest.raises(Kill):
        write_folder(path, "new")
    monkeypatch.undo()
    recover_folder(path)
    assert (path / "text").read_text() == "old"
    write_folder(path, "newer")
    assert (path / "text").read_text() == "newer"
    assert [p.name for p in tmp_path.iterdir()] == ["state"]
