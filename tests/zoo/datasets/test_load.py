import dataclasses
import hashlib
import platform
import socket
import time
from pathlib import Path

import pytest

from zoo import datasets
from zoo.datasets import cache, python_topics
from zoo.datasets.tiny_shakespeare import TinyShakespeare
from zoo.system.errors import UserError, ZooError

SMALL = "First Citizen:\nBefore we proceed any further, hear me speak.\n" * 10


def register(monkeypatch, **changes):
    """Changes the registered file of Tiny Shakespeare."""
    (file,) = TinyShakespeare.FILES
    changed = dataclasses.replace(file, **changes)
    monkeypatch.setattr(TinyShakespeare, "FILES", (changed,))


@pytest.fixture
def small_shakespeare(tmp_path, monkeypatch):
    """A folder with a small file under the registered name and checksum."""
    content = SMALL.encode("ascii")
    register(
        monkeypatch,
        sha256=hashlib.sha256(content).hexdigest(),
        size=len(content),
    )
    path = tmp_path / "data" / "tinyshakespeare" / "input.txt"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    return tmp_path / "data"


@pytest.fixture
def no_network(monkeypatch):
    """Every look-up and connection fails at once."""

    def refuse(*args, **kwargs):
        raise OSError("no network in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)


def whole(text):
    return text.train + text.validation


def test_tiny_shakespeare_from_the_real_file_has_the_usual_split(shared_data):
    text = datasets.load("tiny-shakespeare", data_dir=shared_data)
    assert (len(text.train), len(text.validation)) == (1_003_854, 111_540)
    assert text.sha256 == TinyShakespeare.FILES[0].sha256
    assert datasets.Vocabulary.of(text.train).size == 65 + 1


@pytest.mark.parametrize("place", [".", "tinyshakespeare", "tinyshakespeare/input.txt"])
def test_data_dir_may_be_a_folder_or_the_file(small_shakespeare, place):
    text = datasets.load("tiny-shakespeare", data_dir=small_shakespeare / place)
    assert whole(text) == SMALL
    assert len(text.train) == int(0.9 * len(SMALL))


def test_environment_variable_names_the_local_copy(small_shakespeare, monkeypatch):
    monkeypatch.setenv("BPTT_ZOO_DATA", str(small_shakespeare))
    assert whole(datasets.load("tiny-shakespeare")) == SMALL


def test_prepared_data_is_read_from_the_cache(small_shakespeare, no_network):
    datasets.load("tiny-shakespeare", data_dir=small_shakespeare)
    assert whole(datasets.load("tiny-shakespeare")) == SMALL


def test_local_copy_with_another_content_is_refused(small_shakespeare):
    datasets.load("tiny-shakespeare", data_dir=small_shakespeare)  # cached, and yet:
    (small_shakespeare / "tinyshakespeare" / "input.txt").write_text("Second Citizen")
    with pytest.raises(UserError, match="is not the registered file: expected sha256"):
        datasets.load("tiny-shakespeare", data_dir=small_shakespeare)


def test_local_copy_that_is_not_there_is_refused(tmp_path, monkeypatch):
    with pytest.raises(UserError, match="`--data-dir` must be a folder that has"):
        datasets.load("tiny-shakespeare", data_dir=tmp_path)
    monkeypatch.setenv("BPTT_ZOO_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(UserError, match="BPTT_ZOO_DATA must be a folder that has"):
        datasets.load("tiny-shakespeare")


def test_without_network_the_error_comes_in_seconds(no_network):
    start = time.monotonic()
    with pytest.raises(ZooError, match="Without a network, name a folder") as caught:
        datasets.load("tiny-shakespeare")
    assert time.monotonic() - start < 10
    assert not isinstance(caught.value, UserError)
    assert not list((cache.cache_folder() / "downloads").rglob("input.txt"))


def test_a_failed_download_can_be_followed_by_a_good_one(
    small_shakespeare, no_network, monkeypatch
):
    with pytest.raises(ZooError):
        datasets.load("tiny-shakespeare")
    file = small_shakespeare / "tinyshakespeare" / "input.txt"
    register(monkeypatch, url=file.as_uri())
    assert whole(datasets.load("tiny-shakespeare")) == SMALL


def test_python_topics_is_this_pythons_text():
    text = datasets.load("python-topics")
    assert whole(text) == python_topics.topics_text()
    assert len(text.train) == int(0.9 * len(whole(text)))
    assert text.details["python"] == platform.python_version()


def test_python_topics_of_another_text_has_another_folder(monkeypatch):
    monkeypatch.setattr(python_topics, "topics_text", lambda: "an older text " * 50)
    assert whole(datasets.load("python-topics")) == "an older text " * 50
    monkeypatch.setattr(python_topics, "topics_text", lambda: "a newer text " * 50)
    assert whole(datasets.load("python-topics")) == "a newer text " * 50


def test_python_topics_takes_no_data_dir(tmp_path):
    with pytest.raises(UserError, match="comes with Python"):
        datasets.load("python-topics", data_dir=tmp_path)


def test_prepared_data_that_was_changed_is_refused(small_shakespeare, monkeypatch):
    datasets.load("tiny-shakespeare", data_dir=small_shakespeare)
    register(monkeypatch, sha256="0" * 64)
    with pytest.raises(ZooError, match="is damaged. Delete that folder"):
        datasets.load("tiny-shakespeare")


def test_a_cache_folder_that_cannot_be_created_is_refused(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("BPTT_ZOO_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(UserError, match="BPTT_ZOO_CACHE"):
        datasets.load("python-topics")


def test_nothing_is_written_beside_the_code():
    before = set(Path(datasets.__file__).parent.rglob("*"))
    datasets.load("python-topics")
    assert {
        p
        for p in set(Path(datasets.__file__).parent.rglob("*")) - before
        if "__pycache__" not in p.parts
    } == set()
