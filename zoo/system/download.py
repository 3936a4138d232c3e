"""Downloads files: verifies them, resumes, and gives up within seconds."""

from __future__ import annotations

import http.client
import os
import re
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from zoo.system.errors import ZooError
from zoo.system.locks import one_at_a_time

OFFLINE = "BPTT_ZOO_OFFLINE"
TIMEOUT = 10.0  # seconds to connect, and between two pieces
ATTEMPTS = 3  # at each address, if a transfer breaks off
PAUSE = 0.5  # seconds before the second attempt; twice that before the third
SLOWEST = 1000  # bytes per second
PIECE = 2**16


class Unreachable(ZooError):
    """No address answered, so it is unknown whether the file exists."""


# Raises `ZooError` if a path does not hold the expected file.
Check = Callable[[Path], object]


def download(
    urls: str | Sequence[str],
    path: str | os.PathLike,
    *,
    limit: int,
    check: Check,
    size: int | None = None,
    label: str | None = None,
    again: bool = False,
) -> Path:
    """Downloads a file that can be verified.

    A transfer that breaks off is resumed, immediately and by a later call; if an
    address refuses or sends the wrong file, the next one is tried. Several processes
    take turns, and find the file that the first one downloaded.

    Args:
        urls: One address of the file, or mirrors in the order of trial.
        path: Path to write. A file appears there only after it has been verified; an
            existing one is verified again.
        limit: Maximum number of bytes to read.
        check: Function of a path that raises `ZooError` if it is not the file.
        size: Size of the file in bytes, if known.
        label: Name beside a progress bar, which only a terminal shows; None: no bar.
        again: Whether to download it from the beginning even if it exists.

    Returns:
        The path.

    Raises:
        ZooError: If no address has the file, with the reason for each, or if the
            environment variable BPTT_ZOO_OFFLINE forbids connections; `Unreachable` if
            none of them answered.
    """
    urls = [urls] if isinstance(urls, str) else list(urls)
    path = Path(path)
    if not again and _is_good(path, check):
        return path
    if is_offline() and not path.exists():
        raise ZooError(
            f"{path.name} is not here, and {OFFLINE} is set: nothing is downloaded."
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.part")
    lock = path.with_name(f".{path.name}.lock")
    reasons, silent = [], True
    with one_at_a_time(lock, f"fetching {path.name}"):
        if again:
            part.unlink(missing_ok=True)
        elif _is_good(path, check):  # another process has downloaded it meanwhile
            return path
        else:
            path.unlink(missing_ok=True)
        if is_offline():
            raise ZooError(
                f"{path.name} here is not the file that was published, and {OFFLINE} "
                "is set: nothing is downloaded."
            )
        for url in urls:
            transfer = _Transfer(url, part, limit, size, label)
            failure = _attempts(transfer, check)
            if failure is None:
                os.replace(part, path)
                return path
            reasons.append(f"{url} cannot be downloaded ({failure})")
            silent = silent and isinstance(failure, _NoAnswer)
    raise (Unreachable if silent else ZooError)("; ".join(reasons) + ".")


def is_offline() -> bool:
    """Whether the environment forbids connections."""
    return os.environ.get(OFFLINE, "0") not in ("", "0")


def _is_good(path: Path, check: Check) -> bool:
    """Whether the file exists and is the right one."""
    try:
        check(path)
    except (FileNotFoundError, ZooError):
        return False
    return True


def _attempts(transfer: _Transfer, check: Check) -> _Refused | None:
    """Tries an address; returns why it failed, or None once the file is complete."""
    failure: _Refused | None = None
    for attempt in range(ATTEMPTS):
        if attempt:
            time.sleep(PAUSE * 2 ** (attempt - 1))
        resumed = transfer.received > 0
        try:
            transfer.run()
        except _Refused as error:
            return error
        except (OSError, http.client.HTTPException) as error:
            failure = _NoAnswer(str(error) or type(error).__name__)
            continue
        try:
            check(transfer.part)
        except ZooError as error:
            transfer.discard()
            failure = _Refused(str(error).rstrip("."))
            if resumed:  # the first half may have come from a different file
                continue
            return failure
        return None
    return failure


class _Refused(Exception):
    """Trying again would not help."""


class _NoAnswer(_Refused):
    """The server does not answer, breaks off, or has an internal failure."""


class _Stuck(TimeoutError):
    """A call did not return in time, and a thread may still be waiting for it."""


class _OutOfRange(OSError):
    """The local part is longer than the file on the server."""


class _Transfer:
    """One address, and the part of its file that has been received."""

    def __init__(
        self, url: str, part: Path, limit: int, size: int | None, label: str | None
    ):
        self.url = url
        self.part = part
        self.limit = limit if size is None else size
        self.size = size
        self.label = label

    @property
    def received(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def discard(self) -> None:
        self.part.unlink(missing_ok=True)

    def run(self) -> None:
        """Appends to the part until it is complete."""
        if self.size is not None and self.received == self.size:
            return
        try:
            answer = _open(self.url, self.received)
        except _OutOfRange:
            self.discard()
            raise
        try:
            start = self._begin(answer)
            expected = self.size
            length = answer.headers.get("Content-Length") or ""
            if expected is None and re.fullmatch("[0-9]{1,15}", length):
                expected = start + int(length)
            if expected is not None and expected > self.limit:
                raise _Refused(f"{expected:,} bytes, more than {self.limit:,}")
            self._copy(answer, expected)
        except _Stuck:
            raise  # a thread is still reading, and closing would wait for it
        except BaseException:
            answer.close()
            raise
        answer.close()

    def _begin(self, response) -> int:
        """The offset at which the response begins; 0 if the server starts over."""
        start = self.received
        partial = getattr(response, "status", None) == 206
        given = response.headers.get("Content-Range", "")
        if start and not (partial and given.startswith(f"bytes {start}-")):
            self.discard()
            if partial:
                raise OSError(f"an answer to another range: {given!r}")
            start = 0
        return start

    def _copy(self, response, expected: int | None) -> None:
        # tqdm: put off.
        from tqdm.auto import tqdm

        began, before = time.monotonic(), self.received
        bar = tqdm(
            total=expected,
            initial=before,
            desc=self.label,
            unit="B",
            unit_scale=True,
            leave=False,
            # None shows the bar on a terminal only.
            disable=True if self.label is None else None,
        )
        with bar, open(self.part, "ab") as file:
            received = before
            # `read1` returns what has arrived; `read` would wait for a whole piece.
            while piece := self._next(response, self.limit + 1 - received):
                received += len(piece)
                if received > self.limit:
                    self.discard()
                    raise _Refused(f"more than {self.limit:,} bytes")
                file.write(piece)
                bar.update(len(piece))
                seconds = time.monotonic() - began
                if seconds > 2 * TIMEOUT and received - before < SLOWEST * seconds:
                    raise TimeoutError(f"less than {SLOWEST:,} bytes a second")
        if expected is not None and received < expected:
            raise OSError(f"it ended after {received:,} of {expected:,} bytes")

    def _next(self, response, at_most: int) -> bytes:
        # The framing between chunks can drip in forever without completing a read.
        return _within(2 * TIMEOUT, lambda: response.read1(min(PIECE, at_most)))


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirections, except from https to a less secure scheme."""

    def redirect_request(
        self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str
    ) -> urllib.request.Request | None:
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old, new) == ("https", "http"):
            raise _Refused(f"it redirects to {newurl}")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, start: int) -> Any:
    """Opens an address and returns the response.

    Raises:
        _NoAnswer: If there is no answer.
        _Refused: If there is no such file.
        OSError: If the server has an internal failure, which may be temporary.
    """
    headers = {"Accept-Encoding": "identity", "User-Agent": "bptt_keras"}
    if start:
        headers["Range"] = f"bytes={start}-"

    def connect():
        request = urllib.request.Request(url, headers=headers)
        opener = urllib.request.build_opener(_Redirects())
        return opener.open(request, timeout=TIMEOUT)

    try:
        # Looking up a host name has no timeout.
        return _within(2 * TIMEOUT, connect)
    except _Stuck as error:
        raise _NoAnswer(str(error)) from None
    except urllib.error.HTTPError as error:
        error.close()
        kind = {416: _OutOfRange, 408: OSError, 429: OSError}.get(error.code, _Refused)
        kind = OSError if error.code >= 500 else kind
        raise kind(f"{error.code} {error.reason}") from None
    except _Refused:
        raise
    except Exception as error:
        # URLError wraps the reason; a timeout does not.
        reason = str(getattr(error, "reason", error)) or type(error).__name__
        raise _NoAnswer(reason) from None


def _within(seconds: float, function: Callable[[], Any]) -> Any:
    """Runs a function in a new thread, and returns or raises what it does.

    Raises:
        _Stuck: If it has not returned after `seconds`.
    """
    outcome = []

    def run():
        try:
            outcome.append((function(), None))
        except Exception as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    thread.join(seconds)
    if not outcome:
        raise _Stuck(f"no answer within {seconds:.0f} s")
    ((value, error),) = outcome
    if error is not None:
        raise error
    return value
