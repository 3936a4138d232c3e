import contextlib
import errno
import json
import os
import stat
import subprocess
import sys
import types

import pytest

from zoo.system.errors import UserError, ZooError
from zoo.system.files import atomic_path, write_json
from zoo.system.folders import new_folder, recover_folder, replace_folder
from zoo.system.locks import alone_in
from zoo.system.output import leaves_no_empty_folder, output_file, prepare_output


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
        "import sys\nfrom zoo.system.errors import UserError\n"
        "from zoo.system.locks import alone_in\n"
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


def test_a_file_in_a_folder_that_is_read_only_is_refused(tmp_path, monkeypatch):
    assert output_file(tmp_path / "a.csv", (".csv",)) == tmp_path / "a.csv"
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    with pytest.raises(UserError, match="`--out` lies in a folder that is read-only"):
        output_file(tmp_path / "a.csv", (".csv",))


@pytest.fixture
def failing():
    """A command that writes a file of a name, or none, and fails."""

    @leaves_no_empty_folder
    def command(arguments):
        prepare_output(arguments.out, overwrite=True)
        if arguments.name:
            (arguments.out / arguments.name).touch()
        raise KeyError

    def call(out, name=""):
        with pytest.raises(KeyError):
            command(types.SimpleNamespace(out=out, name=name))

    return call


def test_a_command_that_fails_at_once_leaves_no_folder(failing, tmp_path):
    failing(tmp_path / "runs" / "mine")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_alone_does_not_keep_a_folder(failing, tmp_path):
    failing(tmp_path / "mine", ".lock")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_was_there_or_holds_something_stays(failing, tmp_path):
    (tmp_path / "runs").mkdir()
    failing(tmp_path / "runs" / "mine")
    assert (tmp_path / "runs").is_dir() and not (tmp_path / "runs" / "mine").exists()
    failing(tmp_path / "runs" / "mine", "history.json")
    assert (tmp_path / "runs" / "mine" / "history.json").exists()


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
