"""Worker processes on this machine: started, restarted, ended, never left behind."""

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
# Seconds before a worker that died early is restarted; doubled each time.
_PAUSE, _LONGEST = 0.5, 30.0
# A worker that dies this many times before it asks for a trial never will.
_SILENT = 3


class Workers:
    """Processes that run the command of this process again, as workers of its chief.

    Each gets a share of the cores, and keeps its name when it is restarted, so that it
    resumes its trial. The workers end when this process dies.

    Args:
        count: Number of workers.
        port: Port of the chief, on 127.0.0.1.
        secret: Shared secret of chief and workers.
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
        """Number of running workers."""
        return sum(p.process.poll() is None for p in self._places)

    def tend(self, *, restart: bool = True) -> None:
        """Looks after the workers: restarts those that died."""
        now = time.monotonic()
        for place in self._places:
            code = place.process.poll()
            if code is None:
                continue
            if code == 0:
                # It learned that nothing is left.
                continue
            if not place.reported:
                place.reported = True
                self._died(place.name)
                lasted = now - place.started
                place.pause = _PAUSE if lasted > 60 else min(place.pause * 2, _LONGEST)
                place.due = now + place.pause
                print(f"{place.name} has died ({_exit(code)}).", file=sys.stderr)
            elif restart and now >= place.due:
                self._start(place)

    def useless(self, heard: Mapping[str, float]) -> str | None:
        """Says why no worker will ever finish this job, if none will.

        Args:
            heard: `{worker: time when it last called}`, from `time.monotonic`.

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
            elif code and place.reported and not place.counted:
                place.silent, place.counted = place.silent + 1, True
        if all(place.silent >= _SILENT for place in self._places):
            return (
                f"Each worker has died {_SILENT} times before it asked for a trial "
                f"(the last: {_exit(next(filter(None, codes), 1))}). Each runs this "
                "program again, up to `search`; its error is shown above."
            )
        return None

    def wait(self, seconds: float) -> None:
        """Waits for the workers to end by themselves."""
        end = time.monotonic() + seconds
        while self.alive and time.monotonic() < end:
            time.sleep(0.05)

    def end(self) -> None:
        """Kills the running workers."""
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
                # Before it has threads, which then inherit the setting.
                os.sched_setaffinity(place.process.pid, place.cores)
        place.started, place.reported = time.monotonic(), False
        place.counted = False


class _Place:
    def __init__(self, name: str, cores: set[int]):
        self.name, self.cores = name, cores
        self.process: Any = None
        self.started, self.reported = 0.0, False
        self.pause, self.due = _PAUSE / 2, 0.0
        # How many times in a row it died before it called, and whether this death is
        # already counted.
        self.silent, self.counted = 0, False


def end_with_parent() -> bool:
    """Makes this process end when the one that started it as a worker ends.

    Returns:
        Whether a process started this one as a worker.
    """
    if os.environ.pop(_PARENT, None) is None:
        return False

    def watch():
        # Its end of the pipe closes when it dies, for whatever reason.
        while os.read(0, 1):
            pass
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
    return True


def own_command() -> list[str]:
    """The command that started this process.

    Raises:
        ValueError: If it was not started by a command that can be run again.
    """
    main = sys.modules.get("__main__")
    if getattr(main, "__file__", None) is None:
        raise ValueError(
            "`workers` runs this program again as processes of their own, so it must "
            "be a script, not a notebook or a prompt. Leave `workers` out there."
        )
    return [sys.executable, *sys.orig_argv[1:]]


def shares(count: int) -> list[set[int]]:
    """Divides the cores that this process may use among `count` workers.

    Returns:
        A list of sets, disjoint if there are enough cores; empty sets if cores cannot
        be assigned.
    """
    if not hasattr(os, "sched_getaffinity"):
        return [set() for _ in range(count)]
    cores = sorted(os.sched_getaffinity(0))
    if count >= len(cores):
        return [{cores[number % len(cores)]} for number in range(count)]
    return [set(cores[number::count]) for number in range(count)]


def _exit(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
