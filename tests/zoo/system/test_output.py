import os
import stat
import types

import pytest

from zoo.system.errors import UserError
from zoo.system.output import leaves_no_empty_folder, output_file, prepare_output


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


def test_a_command_that_fails_immediately_leaves_no_folder(failing, tmp_path):
    failing(tmp_path / "runs" / "mine")
    assert list(tmp_path.iterdir()) == []


def test_a_lock_alone_does_not_keep_a_folder(failing, tmp_path):
    failing(tmp_path / "mine", ".lock")
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_existed_or_is_not_empty_stays(failing, tmp_path):
    (tmp_path / "runs").mkdir()
    failing(tmp_path / "runs" / "mine")
    assert (tmp_path / "runs").is_dir() and not (tmp_path / "runs" / "mine").exists()
    failing(tmp_path / "runs" / "mine", "history.json")
    assert (tmp_path / "runs" / "mine" / "history.json").exists()
