import http.server
import socket
import threading
import time

import pytest

from zoo.datasets import download as module
from zoo.datasets.download import download
from zoo.errors import ZooError

CONTENT = b"hear me speak\n" * 100


def check(content):
    if content != CONTENT:
        raise ZooError(f"another file of {len(content)} bytes")


@pytest.fixture
def server():
    """A web server on this machine that has one file, `/good`."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.send_response(200 if self.path == "/good" else 404)
            self.send_header("Content-Length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)

        def log_message(self, *args):
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_file_arrives(server, tmp_path):
    path = tmp_path / "new" / "file"
    download(f"{server}/good", path, limit=len(CONTENT), check=check)
    assert path.read_bytes() == CONTENT


def test_wrong_content_leaves_no_file(server, tmp_path):
    def refuse(content):
        raise ZooError("another file")

    with pytest.raises(ZooError, match="another file"):
        download(f"{server}/good", tmp_path / "f", limit=len(CONTENT), check=refuse)
    assert list(tmp_path.iterdir()) == []


def test_longer_content_is_not_read_to_its_end(server, tmp_path):
    with pytest.raises(ZooError, match="11 bytes"):
        download(f"{server}/good", tmp_path / "f", limit=10, check=check)


def test_refusal_says_why(server, tmp_path):
    with pytest.raises(ZooError, match="Not Found"):
        download(f"{server}/bad", tmp_path / "f", limit=len(CONTENT), check=check)


def test_silent_server_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        start = time.monotonic()
        with pytest.raises(ZooError, match="cannot be downloaded"):
            download(url, tmp_path / "f", limit=len(CONTENT), check=check)
    assert time.monotonic() - start < 5


def test_look_up_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.3)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: time.sleep(3))
    with pytest.raises(ZooError, match="no answer within"):
        download("http://example.org/", tmp_path / "f", limit=1, check=check)
