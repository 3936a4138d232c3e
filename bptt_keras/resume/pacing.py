"""When to save, and how to write in the background so that training notices little."""

from __future__ import annotations

import datetime
import threading
import time
from collections.abc import Callable, Iterator

# A function that waits some seconds, unless it has to be quick.
Rest = Callable[[float], object]

# Bytes that are handled at a time, and how long to rest after them, in times of what
# they took: training, which uses the same processor and memory, slows down by little
# for longer.
_PIECE, _RESTS = 1 << 20, 19
# Seconds before they are handled. The step after a large copy has to fetch from memory
# what the copy has driven out of the caches.
PAUSE = 0.5


def pieces(size: int, rest: Rest) -> Iterator[slice]:
    """Slices of `size` bytes, with a rest after each, which is as long as its work.

    Args:
        size: Number of bytes.
        rest: Function that waits some seconds.

    Yields:
        Slices, in order.
    """
    for start in range(0, size, _PIECE):
        began = time.perf_counter()
        yield slice(start, start + _PIECE)
        rest(_RESTS * (time.perf_counter() - began))


class Interval:
    """What has to pass until the next save: updates, or time.

    Args:
        every: An integer number of updates, or a `datetime.timedelta`.
        updates: The number of updates at its start, which is now.
    """

    def __init__(self, every: int | datetime.timedelta, updates: int):
        self._every = every
        self._began, self._updates = time.monotonic(), updates

    def is_over(self, updates: int) -> bool:
        """Whether it has passed, after a number of updates."""
        if isinstance(self._every, datetime.timedelta):
            return time.monotonic() - self._began >= self._every.total_seconds()
        return updates - self._updates >= self._every


class Background:
    """Runs one function at a time in a thread.

    An error of a function is raised by the next call of `start` or `wait`.
    """

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self._awaited = threading.Event()

    def rest(self, seconds: float) -> None:
        """Waits within a function, unless it has to hurry or its end is awaited."""
        self._awaited.wait(seconds)

    @property
    def busy(self) -> bool:
        """Whether the last function is still running."""
        return self._thread is not None and self._thread.is_alive()

    def hurry(self) -> None:
        """The last function rests no more."""
        self._awaited.set()

    def start(self, work: Callable[[], object]) -> None:
        """Runs a function in the background, after those before it."""
        self.wait()

        def run() -> None:
            try:
                work()
            except BaseException as error:
                self._error = error

        self._thread = threading.Thread(target=run, name="bptt_keras-resume")
        self._thread.start()

    def wait(self) -> None:
        """Waits for the last function to end; raises its error."""
        if self._thread is not None:
            self.hurry()
            self._thread.join()
            self._thread = None
            self._awaited.clear()
        error, self._error = self._error, None
        if error is not None:
            raise error
