"""Registered files: found, fetched, unpacked, checked."""

import gzip
import hashlib
import subprocess

import pytest

from zoo.datasets import cache, files
from zoo.datasets.files import File
from zoo.system.errors import UserError, ZooError

CONTENT = b"hear me speak\n" * 50


def registered(path="words/text.txt", url="file:///nowhere", **changes):
    facts = {"size": 10_000, "sha256": hashlib.sha256(CONTENT).hexdigest()}
    return File(path, url, **facts | changes)


def placed(folder, path, content=CONTENT):
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    (folder / path).write_bytes(content)


@pytest.mark.parametrize("place", ["", "words", "words/text.txt"])
def test_a_named_place_may_be_the_folder_its_part_or_the_file(tmp_path, place):
    placed(tmp_path, "words/text.txt")
    assert files.read(registered(), tmp_path / place) == CONTENT


def test_the_variable_names_a_place_and_an_option_wins(tmp_path, monkeypatch):
    placed(tmp_path, "a/words/text.txt")
    monkeypatch.setenv("BPTT_ZOO_DATA", str(tmp_path / "a"))
    assert files.read(registered(), None) == CONTENT
    with pytest.raises(UserError, match="`--data-dir` must be a folder that has words"):
        files.read(registered(), tmp_path / "b")


def test_a_file_is_fetched_once(tmp_path):
    placed(tmp_path, "source.txt")
    file = registered(url=(tmp_path / "source.txt").as_uri())
    assert files.read(file, None) == CONTENT
    (tmp_path / "source.txt").unlink()
    assert files.read(file, None) == CONTENT


def test_a_gzipped_file_is_recognised_by_its_content(tmp_path):
    for level in (1, 9):
        packed = gzip.compress(CONTENT, level, mtime=level)
        placed(tmp_path, "words/text.gz", packed)
        assert files.read(registered("words/text.gz"), tmp_path) == CONTENT


def test_a_file_that_is_not_gzip_is_refused(tmp_path):
    placed(tmp_path, "words/text.gz")
    with pytest.raises(UserError, match="is no gzip file"):
        files.read(registered("words/text.gz"), tmp_path)


def test_another_version_is_recognised_by_its_git_hash(tmp_path):
    other = b"other\n"
    placed(tmp_path, "words/text.txt", other)
    id_of_other = subprocess.run(
        ["git", "hash-object", tmp_path / "words/text.txt"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    assert files.read(registered(git_ids=(id_of_other,)), tmp_path) == other
    with pytest.raises(UserError, match="is not the registered file"):
        files.read(registered(git_ids=("0" * 40,)), tmp_path)


def test_a_download_of_another_file_is_not_kept(tmp_path):
    placed(tmp_path, "source.txt", CONTENT + b"!")
    file = registered(url=(tmp_path / "source.txt").as_uri())
    with pytest.raises(ZooError, match="expected sha256.*Without a network") as caught:
        files.read(file, None)
    assert not isinstance(caught.value, UserError)
    assert not (cache.cache_folder() / "downloads" / file.path).exists()


def test_a_damaged_download_is_not_used(tmp_path):
    placed(tmp_path, "source.txt")
    file = registered(url=(tmp_path / "source.txt").as_uri())
    files.read(file, None)
    (cache.cache_folder() / "downloads" / file.path).write_bytes(b"damaged")
    with pytest.raises(ZooError, match="is not the registered file"):
        files.read(file, None)
