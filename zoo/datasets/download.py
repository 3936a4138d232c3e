"""One file from the network, checked, or a clear error in seconds."""

from __future__ import annotations

import os
import threading
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from zoo.errors import ZooError
from zoo.files import atomic_path

TIMEOUT = 10.0


def download(
    url: str, path: str | os.PathLike, *, limit: int, check: Callable[[bytes], object]
) -> Path:
    """Fetches a file whose content is known beforehand.

    There is no retry, and no wait without an end: TFDS' own downloader tries for
    minutes before it says that there is no network.

    Args:
        url: Where the file is.
        path: Where it goes. A file is there only once it has been checked.
        limit: Bytes that are read, at most (and one more, which `check` then sees).
        check: Function of the content that raises `ZooError` if it is not the file.

    Returns:
        The path.

    Raises:
        ZooError: If the server cannot be reached within seconds, refuses, stalls, or
            sends something else than the registered file.
    """
    try:
        content = _read(url, limit)
    except (OSError, ValueError) as error:
        # URLError wraps the reason; a timeout while reading does not.
        reason = getattr(error, "reason", error)
        raise ZooError(f"{url} cannot be downloaded ({reason}).") from None
    check(content)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    return path


def _read(url: str, size: int) -> bytes:
    outcome = []

    def connect():
        try:
            outcome.append(urllib.request.urlopen(url, timeout=TIMEOUT))
        except Exception as error:
            outcome.append(error)

    # Looking up a host name knows no timeout of its own, hence the thread.
    thread = threading.Thread(target=connect, daemon=True)
    thread.start()
    thread.join(TIMEOUT)
    if not outcome:
        raise TimeoutError(f"no answer within {TIMEOUT:.0f} s")
    if isinstance(outcome[0], Exception):
        raise outcome[0]
    with outcome[0] as response:
        return response.read(size + 1)
