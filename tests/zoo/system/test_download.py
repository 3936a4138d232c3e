import socket
import threading
import time

import pytest
from filelock import FileLock

from zoo.system.download import download
from zoo.system.errors import ZooError

CONTENT = b"hear me speak\n" * 20_000


def check(path):
    if path.read_bytes() != CONTENT:
        raise ZooError(f"another file of {path.stat().st_size} bytes")


@pytest.fixture
def url(server, impatient):
    (server.folder / "file").write_bytes(CONTENT)
    return f"{server.url}/file"


@pytest.fixture
def path(tmp_path):
    return tmp_path / "new" / "file"


def fetch(urls, path, **options):
    options = {"limit": len(CONTENT), "size": len(CONTENT), "check": check, **options}
    return download(urls, path, **options)


def test_a_file_arrives(url, path):
    assert fetch(url, path) == path
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("size", [None, len(CONTENT)])
@pytest.mark.parametrize(
    "fault", ["truncate", pytest.param("stall", marks=pytest.mark.slow)]
)
def test_a_transfer_that_breaks_off_is_resumed(server, url, path, fault, size):
    server.faults["/file"] = [fault]
    fetch(url, path, size=size)
    assert path.read_bytes() == CONTENT
    half = f"bytes={len(CONTENT) // 2}-"
    assert server.requests == [("/file", None), ("/file", half)]


def test_a_later_call_resumes_where_the_first_gave_up(server, url, path):
    server.faults["/file"] = ["truncate", 500, 503]
    with pytest.raises(ZooError, match="503"):
        fetch(url, path)
    assert not path.exists()
    fetch(url, path)
    assert path.read_bytes() == CONTENT
    assert server.requests[-1] == ("/file", f"bytes={len(CONTENT) // 2}-")


def test_a_part_that_is_longer_than_the_file_is_dropped(server, url, path):
    path.parent.mkdir()
    path.with_name(".file.part").write_bytes(CONTENT * 2)
    fetch(url, path, size=None)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("fault", ["whole", "shifted"])
def test_an_answer_to_another_range_starts_over(server, url, path, fault):
    server.faults["/file"] = ["truncate", fault]
    fetch(url, path)
    assert path.read_bytes() == CONTENT


def test_the_first_half_of_another_file_is_not_kept(server, url, path):
    path.parent.mkdir()
    path.with_name(".file.part").write_bytes(b"x" * 1000)
    fetch(url, path)
    assert path.read_bytes() == CONTENT


@pytest.mark.parametrize("fault, reason", [(404, "404"), (410, "410"), ("wrong", "an")])
def test_the_next_mirror_follows_a_bad_one_immediately(
    server, url, path, fault, reason
):
    server.faults["/file"] = [fault]
    fetch([url, url], path)
    assert len(server.requests) == 2
    server.faults["/file"] = [fault, fault]
    with pytest.raises(ZooError, match=f"file cannot be downloaded .{reason}.*; http"):
        fetch([url, url], path.with_name("other"))
    assert [p.name for p in path.parent.iterdir() if p.suffix != ".lock"] == ["file"]


def test_a_failure_of_the_server_is_tried_three_times(server, url, path):
    server.faults["/file"] = [500, 500]
    fetch(url, path)
    assert len(server.requests) == 3
    server.faults["/file"] = [500] * 3
    with pytest.raises(ZooError, match="500"):
        fetch(url, path.with_name("other"))
    assert len(server.requests) == 6


@pytest.mark.parametrize("fault", [None, "long"])
def test_more_than_the_limit_is_not_read(server, url, path, fault):
    server.faults["/file"] = [fault]
    with pytest.raises(ZooError, match="more than 10"):
        fetch(url, path, size=None, limit=10)
    assert not path.exists() and not path.with_name(".file.part").exists()


@pytest.mark.slow
def test_a_server_that_only_drips_is_given_up(server, url, path):
    server.faults["/file"] = ["drip"] * 3
    start = time.monotonic()
    with pytest.raises(ZooError, match="less than 1,000 bytes a second"):
        fetch(url, path)
    assert time.monotonic() - start < 20


@pytest.mark.slow
def test_a_server_that_never_ends_its_answer_is_given_up(server, url, path):
    server.faults["/file"] = ["trailers"] * 3
    start = time.monotonic()
    with pytest.raises(ZooError, match="no answer within 3 s"):
        fetch(url, path, size=None)
    assert time.monotonic() - start < 20


def test_an_invalid_content_length_is_ignored(server, url, path):
    server.faults["/file"] = ["unnumbered"]
    fetch(url, path, size=None)
    assert path.read_bytes() == CONTENT


def test_another_process_that_does_not_end_is_not_waited_for(url, path, monkeypatch):
    monkeypatch.setattr("zoo.system.locks.WAIT", 0.1)
    path.parent.mkdir()
    with (
        FileLock(path.with_name(".file.lock")),
        pytest.raises(ZooError, match="Another process has been fetching file"),
    ):
        fetch(url, path)


def test_redirections_are_followed(server, url, path):
    server.faults["/a"] = [(302, "/b")]
    server.faults["/b"] = [(307, "/file")]
    fetch(f"{server.url}/a", path)
    assert path.read_bytes() == CONTENT


def test_redirections_end(server, url, path):
    server.faults["/a"] = [(302, "/a")] * 30
    with pytest.raises(ZooError, match="redirect"):
        fetch(f"{server.url}/a", path)
    assert len(server.requests) < 15


def test_a_redirection_to_a_file_is_refused(server, url, path, tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    server.faults["/a"] = [(302, secret.as_uri())]
    with pytest.raises(ZooError, match="cannot be downloaded"):
        fetch(f"{server.url}/a", path)


def test_a_silent_server_is_given_up(path, impatient):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        start = time.monotonic()
        with pytest.raises(ZooError, match="cannot be downloaded"):
            fetch(url, path)
    assert time.monotonic() - start < 20


@pytest.mark.slow
def test_a_look_up_that_hangs_is_given_up(path, impatient, monkeypatch):
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: time.sleep(6))
    with pytest.raises(ZooError, match="no answer within"):
        fetch("http://example.org/", path)


def test_two_simultaneous_calls_fetch_a_file_once(server, url, path):
    threads = [threading.Thread(target=fetch, args=(url, path)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert path.read_bytes() == CONTENT
    assert len(server.requests) == 1


def test_offline_no_connection_is_opened(server, url, path, monkeypatch):
    monkeypatch.setenv("BPTT_ZOO_OFFLINE", "1")
    with pytest.raises(ZooError, match="is not here, and BPTT_ZOO_OFFLINE is set"):
        fetch(url, path)
    assert not path.parent.exists()
    path.parent.mkdir()
    path.write_bytes(b"bad")
    with pytest.raises(ZooError, match="is not the file .* BPTT_ZOO_OFFLINE is set"):
        fetch(url, path)
    assert not path.exists()
    assert server.requests == []


def test_a_bar_is_for_terminals_only(server, url, path, capsys):
    fetch(url, path, label="file")
    assert capsys.readouterr().err == ""
