"""One thread at a time: what a trainer does when several call it."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Turns:
    """Lets one thread at a time use a trainer, whose state others would mix up.

    Short calls wait for one another. A `fit` neither waits nor lets others wait: it may
    take hours.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._names: list[str] = []

    def begin(self, name: str) -> None:
        """Takes the turn of a method, which `end` gives back.

        Raises:
            RuntimeError: If a `fit` has the turn in another thread, or if this is one
                and another thread has it.
        """
        if not self._lock.acquire(blocking=False):
            running = next(iter(self._names), name)
            if "fit" in (running, name):
                raise RuntimeError(
                    f"The trainer is busy with `{running}` in another thread, and both "
                    f"would use its state. Received: `{name}`. Wait for its end, or "
                    f"make another `TruncatedBPTT` or a `PureStep` of the same model: "
                    f"they share its weights alone."
                )
            self._lock.acquire()
        self._names.append(name)

    def end(self) -> None:
        """Gives the turn back."""
        self._names.pop()
        self._lock.release()

    def __reduce__(self) -> Any:
        return Turns, ()


def in_turn(
    method: Callable[Concatenate[Any, P], R],
) -> Callable[Concatenate[Any, P], R]:
    """A method of an object with `_turns` that waits for its turn, or is refused."""

    @functools.wraps(method)
    def taking_turns(self: Any, *args: P.args, **kwargs: P.kwargs) -> R:
        self._turns.begin(method.__name__)
        try:
            return method(self, *args, **kwargs)
        finally:
            self._turns.end()

    return taking_turns
