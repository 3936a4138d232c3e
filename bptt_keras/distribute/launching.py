"""Starts a program several times on this machine, as processes that train together."""

from __future__ import annotations

import collections
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from bptt_keras.arguments import whole

_KEPT = 40  # lines of a process that are shown if it fails
# Seconds in which the others notice by themselves that one has ended.
_PATIENCE = 10.0
_GPUS = Path("/proc/driver/nvidia/gpus")


def launch(
    command: Sequence[str],
    workers: int,
    *,
    pin: bool = True,
    environment: Mapping[str, str] = os.environ,
) -> int:
    """Runs a command in several processes that find each other by `TF_CONFIG`.

    The first one has this program's standard streams; of the others, the last lines are
    shown if they fail. Each has its share of the processor cores, or one GPU, where
    there are any.

    Args:
        command: The program and its arguments.
        workers: Number of processes, an integer >= 1.
        pin: Whether each process keeps to cores of its own.
        environment: Environment variables of the processes.

    Returns:
        The exit status of the first process that failed, else 0.

    Raises:
        TypeError: If `workers` is no integer.
        ValueError: If it is below 1.

    Example:
        import sys
        from bptt_keras.distribute import launch

        program = "import os; assert 'worker' in os.environ['TF_CONFIG']"
        assert launch([sys.executable, "-c", program], 2) == 0
    """
    workers = whole("workers", workers, unit="processes")
    addresses = [f"localhost:{port}" for port in _free_ports(workers)]
    processes = [
        _Process(command, place, addresses, pin=pin, environment=environment)
        for place in range(workers)
    ]
    handlers = {
        number: signal.signal(number, lambda received, _: _forward(processes, received))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        status = _status(processes)
    finally:
        for process in processes:
            process.kill()
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return status


class _Process:
    def __init__(
        self,
        command: Sequence[str],
        place: int,
        addresses: list[str],
        *,
        pin: bool,
        environment: Mapping[str, str],
    ):
        self.place = place
        known = {"cluster": {"worker": addresses}}
        task = {"task": {"type": "worker", "index": place}}
        variables = {**environment, "TF_CONFIG": json.dumps(known | task)}
        gpus = _gpus(environment)
        if gpus:
            variables["CUDA_VISIBLE_DEVICES"] = gpus[place % len(gpus)]
        self._lines: collections.deque[str] = collections.deque(maxlen=_KEPT)
        first = place == 0
        self._process = subprocess.Popen(
            command,
            env=variables,
            stdin=None if first else subprocess.DEVNULL,
            stdout=None if first else subprocess.PIPE,
            stderr=None if first else subprocess.STDOUT,
            text=True,
            errors="replace",
            # A signal of the terminal reaches this program, which passes it on.
            start_new_session=True,
        )
        if pin and not gpus:
            _pin(self._process.pid, place, len(addresses))
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        if self._process.stdout is not None:
            self._lines.extend(self._process.stdout)

    @property
    def status(self) -> int | None:
        return self._process.poll()

    def send(self, number: int) -> None:
        if self.status is None:
            self._process.send_signal(number)

    def kill(self) -> None:
        if self.status is None:
            self._process.kill()
            self._process.wait()

    def tell(self) -> None:
        """Shows what the process printed last, unless it was shown already."""
        self._reader.join(1.0)
        for line in self._lines:
            print(f"[process {self.place}] {line}", end="", file=sys.stderr)


def _status(processes: list[_Process]) -> int:
    """Waits for all to end; the status of the first one that failed."""
    failed: _Process | None = None
    until = float("inf")
    while any(process.status is None for process in processes):
        if failed is None:
            failed = next((p for p in processes if p.status), None)
            if failed is not None:
                until = time.monotonic() + _PATIENCE
        if time.monotonic() > until:
            break
        time.sleep(0.05)
    failed = failed or next((p for p in processes if p.status), None)
    if failed is None or not failed.status:
        return 0
    failed.tell()
    # As a shell says it of a process that a signal has ended.
    return failed.status if failed.status > 0 else 128 - failed.status


def _forward(processes: list[_Process], number: int) -> None:
    for process in processes:
        process.send(number)


def _free_ports(count: int) -> list[int]:
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def _pin(process: int, place: int, count: int) -> None:
    """Keeps a process to its share of the cores, where the system can."""
    if not hasattr(os, "sched_setaffinity"):
        return
    cores = sorted(os.sched_getaffinity(0))
    own = cores[len(cores) * place // count : len(cores) * (place + 1) // count]
    if own:
        os.sched_setaffinity(process, own)


def _gpus(environment: Mapping[str, str]) -> list[str]:
    """The GPUs that the processes may use, as NVIDIA's driver numbers them."""
    given = environment.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [gpu for gpu in given.split(",") if gpu not in ("", "-1")]
    there = list(_GPUS.iterdir()) if _GPUS.is_dir() else []
    return [str(number) for number in range(len(there))]
