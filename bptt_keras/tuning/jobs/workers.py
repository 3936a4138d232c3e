"""Worker processes of this machine: started, restarted, ended, never left behind."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from bptt_keras.tuning.jobs.roles import ADDRESS, NAME, PORT, SECRET

_PARENT = "BPTT_KERAS_TUNING_PARENT"
# Seconds before a worker that died at once is started again; doubled each time.
_PAUSE, _LONGEST = 0.5, 30.0
# Workers that die this often before they ask for a trial never will ask.
_SILENT = 3


class Workers:
    """As many processes that run this process' own command, as workers of its chief.

    Each has its share of the cores, and the same name when it is started again, so
    that it takes its trial up. When this process dies they end.

    Args:
        count: How many.
        port: Of the chief, on 127.0.0.1.
        secret: What chief and workers share.
        died: Called with the name of a worker that died.

    Raises:
        ValueError: If there is no command to run, as in a notebook.
    """

    def __init__(self, count: int, port: int, secret: str, died: Callable[[str], None]):
        self._command = own_command()
        self._port, self._secret, self._died = port, secret, died
        self._places = [
            _Place(f"worker-{number}", cores)
            for number, cores in enumerate(shares(count))
        ]
        for place in self._places:
            self._start(place)

    @property
    def alive(self) -> int:
        """How many run."""
        return sum(p.process.poll() is None for p in self._places)

    def tend(self, *, restart: bool = True) -> None:
        """Looks after the workers: starts those again that died."""
        now = time.monotonic()
        for place in self._places:
            code = place.process.poll()
            if code is None:
                continue
            if code == 0:
                # It was told that there is nothing left.
                continue
            if not place.told:
                place.told = True
                self._died(place.name)
                lasted = now - place.started
                place.pause = _PAUSE if lasted > 60 else min(place.pause * 2, _LONGEST)
                place.due = now + place.pause
                print(f"{place.name} has died ({_exit(code)}).", file=sys.stderr)
            elif restart and now >= place.due:
                self._start(place)

    def useless(self, heard: Mapping[str, float]) -> str | None:
        """Why no worker will ever end this job, if that is so.

        Args:
            heard: `{worker: when it last asked for something}`, by `time.monotonic`.

        Returns:
            A sentence, or `None`.
        """
        codes = [place.process.poll() for place in self._places]
        if all(code == 0 for code in codes):
            return (
                "All workers have ended before the job has. Each runs this program "
                "again, up to `search`: it must come there in the same way."
            )
        for place, code in zip(self._places, codes, strict=True):
            if heard.get(place.name, 0.0) > place.started:
                place.silent = 0
            elif code and place.told and not place.counted:
                place.silent, place.counted = place.silent + 1, True
        if all(place.silent >= _SILENT for place in self._places):
            return (
                f"Each worker has died {_SILENT} times before it asked for a trial "
                f"(the last: {_exit(next(filter(None, codes), 1))}). Each runs this "
                "program again, up to `search`; its error is told above."
            )
        return None

    def wait(self, seconds: float) -> None:
        """Waits for the workers to end by themselves."""
        end = time.monotonic() + seconds
        while self.alive and time.monotonic() < end:
            time.sleep(0.05)

    def end(self) -> None:
        """Kills those that run."""
        for place in self._places:
            place.process.kill()
            place.process.wait()
            place.process.stdin.close()

    def _start(self, place: _Place) -> None:
        threads = str(len(place.cores) or 1)
        environment = {
            **os.environ,
            ADDRESS: "127.0.0.1",
            PORT: str(self._port),
            NAME: place.name,
            SECRET: self._secret,
            _PARENT: "1",
            "OMP_NUM_THREADS": threads,
        }
        place.process = subprocess.Popen(
            self._command, env=environment, stdin=subprocess.PIPE
        )
        if place.cores and hasattr(os, "sched_setaffinity"):
            with contextlib.suppress(ProcessLookupError):
                # Before it has threads: those that it starts inherit this.
                os.sched_setaffinity(place.process.pid, place.cores)
        place.started, place.told = time.monotonic(), False
        place.counted = False


class _Place:
    def __init__(self, name: str, cores: set[int]):
        self.name, self.cores = name, cores
        self.process: Any = None
        self.started, self.told = 0.0, False
        self.pause, self.due = _PAUSE / 2, 0.0
        # How often in a row it died before it said a word, and whether this time was.
        self.silent, self.counted = 0, False


def end_with_parent() -> bool:
    """Ends this process when the one that started it as a worker ends.

    Returns:
        Whether one did.
    """
    if os.environ.pop(_PARENT, None) is None:
        return False

    def watch():
        # Its end of the pipe closes when it dies, however it does.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    return True


def own_command() -> list[str]:
    """The command that started this process.

    Raises:
        ValueError: If it was not started by one that can be run again.
    """
    main = sys.modules.get("__main__")
    if getattr(main, "__file__", None) is None:
        raise ValueError(
            "`workers` runs this program again as processes of their own, so it must "
            "be a script, not a notebook or a prompt. Leave `workers` out there."
        )
    return [sys.executable, *sys.orig_argv[1:]]


def shares(count: int) -> list[set[int]]:
    """The cores that this process may use, divided among so many workers.

    Returns:
        A list of sets, disjoint if there are enough cores; empty sets where cores
        cannot be chosen.
    """
    if not hasattr(os, "sched_getaffinity"):
        return [set() for _ in range(count)]
    cores = sorted(os.sched_getaffinity(0))
    if count >= len(cores):
        return [{cores[number % len(cores)]} for number in range(count)]
    return [set(cores[number::count]) for number in range(count)]


def _exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
