import contextlib
import os

import pytest

from zoo.system.folders import new_folder, recover_folder, replace_folder


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


def write_version(path, text):
    with new_folder(path) as new:
        (new / "text").write_text(text)


@pytest.mark.parametrize("renames", range(3))
def test_a_kill_at_any_rename_leaves_a_whole_version(tmp_path, monkeypatch, renames):
    write_version(tmp_path / "a", "first")
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
        # Two renames are all there are.
        with pytest.raises(Killed) if renames < 2 else contextlib.suppress(Killed):
            write_version(tmp_path / "a", "second")
    recover_folder(tmp_path / "a")
    assert versions(tmp_path)["a"] == ("first" if renames < 1 else "second")


def test_nothing_is_recovered_of_a_first_version_that_was_not_finished(tmp_path):
    (tmp_path / ".new.a").mkdir()
    assert not recover_folder(tmp_path / "a").exists()
