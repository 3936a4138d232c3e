"""SIGTERM and SIGINT end a training after it has been saved once more."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from typing import Any

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class Signals:
    """Notes a signal instead of ending the process; a second one ends it.

    Only the main thread may do this; in another, signals do what they did before.

    Args:
        told: Function without arguments, called when a signal has come.

    Attributes:
        received: The signal, or `None`.
    """

    def __init__(self, told: Callable[[], Any]):
        self.received: int | None = None
        self._told = told
        self._before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in SIGNALS:
                self._before[number] = signal.signal(number, self._note)

    def _note(self, number: int, frame: Any) -> None:
        self.received = number
        # The next one does what it did before.
        signal.signal(number, self._before[number])
        self._told()

    def restore(self) -> None:
        """Signals do again what they did before."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def obey(self) -> None:
        """Ends as the signal that was received would have ended the process.

        If another process has received it, this one ends by SIGTERM.
        """
        number, self.received = self.received, None
        self.restore()
        signal.raise_signal(number or signal.SIGTERM)
