import contextlib
import json
import os
import stat
import subprocess
import sys

import pytest

from zoo.errors import UserError
from zoo.files import (
    alone_in,
    atomic_path,
    new_folder,
    prepare_output,
    recover_folder,
    replace_folder,
    write_json,
)


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


@pytest.mark.parametrize("exists", [False, True])
def test_folder_takes_the_place_of_an_older_one(tmp_path, exists):
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "now").touch()
    if exists:
        (tmp_path / "preset").mkdir()
        (tmp_path / "preset" / "then").touch()
    replace_folder(tmp_path / "new", tmp_path / "preset")
    assert [p.relative_to(tmp_path).as_posix() for p in tmp_path.rglob("*")] == [
        "preset",
        "preset/now",
    ]


def test_a_folder_that_fails_leaves_nothing(tmp_path):
    (tmp_path / "out").mkdir()
    with pytest.raises(KeyError), new_folder(tmp_path / "out") as new:
        (new / "half").write_text("done")
        raise KeyError
    assert [p.name for p in tmp_path.rglob("*")] == ["out"]


def versions(folder):
    """The texts of the versions in a folder, by name."""
    return {path.name: (path / "text").read_text() for path in folder.iterdir()}


def write_version(path, text, **options):
    with new_folder(path, **options) as new:
        (new / "text").write_text(text)


def test_the_version_before_takes_another_name(tmp_path):
    for text in ("first", "second", "third"):
        write_version(tmp_path / "a", text, keep=tmp_path / "before")
    assert versions(tmp_path) == {"a": "third", "before": "second"}


@pytest.mark.parametrize("renames", range(4))
def test_a_kill_at_any_rename_loses_no_version(tmp_path, monkeypatch, renames):
    for text in ("first", "second"):
        write_version(tmp_path / "a", text, keep=tmp_path / "before")
    left, rename = [renames], os.replace

    class Killed(BaseException):
        pass

    def killed(*names):
        left[0] -= 1
        if left[0] < 0:
            raise Killed
        rename(*names)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", killed)
        # A kill cleans nothing up.
        patched.setattr("shutil.rmtree", lambda *_, **__: None)
        # Three renames are all there are.
        with pytest.raises(Killed) if renames < 2 else contextlib.suppress(Killed):
            write_version(tmp_path / "a", "third", keep=tmp_path / "after")
    recover_folder(tmp_path / "a")
    found = versions(tmp_path)
    assert found["a"] == ("second" if renames < 1 else "third")
    assert found["before"] == "first" and "second" in found.values()


def test_nothing_is_recovered_of_a_first_version_that_was_not_finished(tmp_path):
    (tmp_path / ".new.a").mkdir()
    assert not recover_folder(tmp_path / "a").exists()


def test_a_second_process_is_refused_while_the_first_is_alone(tmp_path):
    script = (
        "import sys\nfrom zoo.errors import UserError\nfrom zoo.files import alone_in\n"
        "try:\n    with alone_in(sys.argv[1]): print('alone')\n"
        "except UserError as error: print(error)"
    )

    def other():
        command = [sys.executable, "-c", script, str(tmp_path)]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        return done.stdout

    with alone_in(tmp_path):
        assert "Another process trains in" in other()
    assert other() == "alone\n"
    # The lock's file makes no folder an occupied one.
    assert prepare_output(tmp_path, overwrite=False) == tmp_path


def test_output_folder_is_created_with_its_parents(tmp_path):
    out = prepare_output(tmp_path / "a" / "b", overwrite=False)
    assert out.is_dir()
    assert list(out.iterdir()) == []


def test_output_that_is_not_empty_needs_overwrite(tmp_path):
    (tmp_path / "loss.png").touch()
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError, match="--overwrite"):
        prepare_output(tmp_path, overwrite=False)
    prepare_output(tmp_path, overwrite=True)
    assert (tmp_path / "notes.txt").exists()


def test_output_that_is_a_file_is_refused(tmp_path):
    (tmp_path / "file").touch()
    for out in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(UserError, match="is a file or lies below one"):
            prepare_output(out, overwrite=True)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only to root")
def test_output_that_is_read_only_is_refused(tmp_path):
    tmp_path.chmod(stat.S_IRUSR | stat.S_IXUSR)
    for out in (tmp_path, tmp_path / "below"):
        with pytest.raises(UserError, match="cannot be written to"):
            prepare_output(out, overwrite=True)
