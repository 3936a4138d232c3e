"""A local web server that serves a folder, and fails in ways that tests choose."""

import functools
import http.server
import threading
from collections import defaultdict


class FaultyServer:
    """Serves the files below a folder.

    `faults[path]` is a list of what goes wrong with the next requests for a path, one
    after the other: a status such as 404; "truncate" ends after half of the bytes;
    "stall" keeps the connection open after half of them; "drip" sends one byte at a
    time; "wrong" sends other bytes; "long" sends more than was said; "whole" ignores
    the asked range; "shifted" answers with another range; "unnumbered" says a length
    that is no number; "trailers" ends a chunked answer with lines that never end; a
    tuple (302, address) redirects.
    """

    def __init__(self, folder):
        self.folder = folder
        self.faults = defaultdict(list)
        self.requests = []
        self.stop = threading.Event()
        owner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                owner.answer(self)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        # As often as that it looks whether it is to end, for which `close` waits.
        serve = functools.partial(self.server.serve_forever, poll_interval=0.01)
        threading.Thread(target=serve, daemon=True).start()

    @property
    def url(self):
        return f"http://127.0.0.1:{self.server.server_port}"

    def paths(self):
        return [path for path, _ in self.requests]

    def close(self):
        self.stop.set()
        self.server.shutdown()
        self.server.server_close()

    def answer(self, handler):
        path, asked = handler.path, handler.headers.get("Range")
        self.requests.append((path, asked))
        fault = self.faults[path].pop(0) if self.faults[path] else None
        file = self.folder / path.lstrip("/")
        if isinstance(fault, tuple):
            handler.send_response(fault[0])
            handler.send_header("Location", fault[1])
            handler.end_headers()
            return
        if isinstance(fault, int) or not file.is_file():
            handler.send_error(fault or 404)
            return
        content = file.read_bytes()
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked else 0
        if start > len(content):
            handler.send_error(416)
            return
        if fault == "wrong":
            content = bytes(byte ^ 1 for byte in content)
        if fault == "whole":
            start = 0
        rest = content[start:]
        handler.send_response(206 if start else 200)
        if start:
            first = start + (fault == "shifted")
            place = f"bytes {first}-{len(content) - 1}/{len(content)}"
            handler.send_header("Content-Range", place)
        if fault == "unnumbered":
            handler.send_header("Content-Length", "many")
        elif fault == "trailers":
            handler.send_header("Transfer-Encoding", "chunked")
        elif fault != "long":
            handler.send_header("Content-Length", str(len(rest)))
        handler.end_headers()
        if fault == "trailers":
            handler.wfile.write(b"1\r\n" + rest[:1] + b"\r\n0\r\n")
            while not self.stop.wait(0.2):
                handler.wfile.write(b"X-More: 1\r\n")
            return
        if fault in ("truncate", "stall"):
            rest = rest[: len(rest) // 2]
        if fault == "long":
            rest += b"!" * 100
        if fault == "drip":
            for i in range(len(rest)):
                if self.stop.wait(0.05):
                    return
                handler.wfile.write(rest[i : i + 1])
            return
        handler.wfile.write(rest)
        handler.wfile.flush()
        if fault == "stall":
            self.stop.wait(30)
