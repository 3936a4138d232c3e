import hashlib
import http.server
import socket
import threading
import time

import pytest

from zoo.datasets import download as module
from zoo.datasets.download import download
from zoo.errors import ZooError

CONTENT = b"hear me speak\n" * 100
SHA256 = hashlib.sha256(CONTENT).hexdigest()


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
    download(f"{server}/good", path, sha256=SHA256, size=len(CONTENT))
    assert path.read_bytes() == CONTENT


def test_wrong_content_leaves_no_file(server, tmp_path):
    with pytest.raises(ZooError, match="expected sha256 000"):
        download(f"{server}/good", tmp_path / "f", sha256="0" * 64, size=len(CONTENT))
    assert list(tmp_path.iterdir()) == []


def test_longer_content_is_not_read_to_its_end(server, tmp_path):
    with pytest.raises(ZooError, match="11 bytes"):
        download(f"{server}/good", tmp_path / "f", sha256=SHA256, size=10)


def test_refusal_says_why(server, tmp_path):
    with pytest.raises(ZooError, match="Not Found"):
        download(f"{server}/bad", tmp_path / "f", sha256=SHA256, size=len(CONTENT))


def test_silent_server_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/"
        start = time.monotonic()
        with pytest.raises(ZooError, match="cannot be downloaded"):
            download(url, tmp_path / "f", sha256=SHA256, size=len(CONTENT))
    assert time.monotonic() - start < 5


def test_look_up_that_hangs_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.3)
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: time.sleep(3))
    with pytest.raises(ZooError, match="no answer within"):
        download("http://example.org/", tmp_path / "f", sha256=SHA256, size=1)
