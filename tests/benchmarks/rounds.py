"""Contestants in their own processes, which train in turn, round by round.

Only one of them works at a time; the others wait for a line. Their protocol is
described in `tests/benchmarks/peers/protocol.py`.
"""

import contextlib
import dataclasses
import json
import os
import queue
import subprocess
import tempfile
import threading
from pathlib import Path

from tests.benchmarks import load

ROOT = Path(__file__).resolve().parents[2]


@dataclasses.dataclass(frozen=True)
class Contestant:
    """How a contestant is started.

    Args:
        name: Its name in tables.
        command: Program and arguments, run in the project's root.
        env: Variables of its environment, beside those that are there.
    """

    name: str
    command: tuple
    env: dict = dataclasses.field(default_factory=dict)


class Failure(Exception):
    """A contestant that cannot go on; the message is one line."""


class Worker:
    """The running process of a contestant.

    Args:
        contestant: `Contestant`.
        timeout: Seconds that it may take for an answer.

    Raises:
        Failure: If the program cannot be started.
    """

    def __init__(self, contestant, timeout):
        self.timeout = timeout
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 (see `close`)
        self._answers = queue.SimpleQueue()
        try:
            self._process = subprocess.Popen(
                contestant.command,
                cwd=ROOT,
                env={**os.environ, **contestant.env},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
        except OSError as error:
            self._errors.close()
            raise Failure(f"{type(error).__name__}: {error}") from error
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def answer(self):
        """Waits for the next answer, a dict."""
        try:
            line = self._answers.get(timeout=self.timeout)
        except queue.Empty:
            self._process.kill()
            raise Failure(f"no answer in {self.timeout:g} seconds") from None
        if line is None:
            raise Failure(self._last_words())
        try:
            answer = json.loads(line)
        except ValueError:
            raise Failure(f"no answer in JSON: {line.strip()}") from None
        if "error" in answer:
            raise Failure(answer["error"])
        return answer

    def ask(self, word):
        """Sends `go` or `stop`, and waits for the answer."""
        # A process that has ended breaks the pipe; `answer` finds out why it did.
        with contextlib.suppress(OSError):
            self._process.stdin.write(word + "\n")
            self._process.stdin.flush()
        return self.answer()

    def close(self):
        """Ends the process."""
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join()
        self._process.stdout.close()
        self._errors.close()

    def _read(self):
        for line in self._process.stdout:
            self._answers.put(line)
        self._answers.put(None)

    def _last_words(self):
        code = self._process.wait()
        if code < 0:
            return f"ended by signal {-code}"
        self._errors.seek(0)
        lines = [line.strip() for line in self._errors if line.strip()]
        return lines[-1] if lines else f"ended with exit code {code}"


def race(contestants, rounds, *, timeout=900, pause=0.3, tries=6, say=print):
    """Starts contestants one by one and lets them train in turn, A B C A B C ...

    A round before the first is not counted: what is compiled late is compiled there.
    A turn during which other processes took too much of the processor (`load.LIMIT`) is
    repeated, each time after twice the pause; the last repetition counts, disturbed or
    not. If it was, the contestant's other turns are not repeated: it has no ratio
    anyway.

    Args:
        contestants: List of `Contestant`.
        rounds: Rounds that count, an integer >= 1.
        timeout: Seconds that a contestant may take for one answer.
        pause: Seconds between two turns, in which threads that spin go to sleep.
        tries: How often a turn is made at most, an integer >= 1.
        say: Function that is told what goes on, a line at a time.

    Returns:
        `{name: result}`; a result is a dict of what the contestant said when it
        started and stopped, of `rounds`, a list of its answers to `go`, and of `error`,
        a line, or `None` if it came to the end.
    """
    results = {c.name: {"rounds": [], "error": None} for c in contestants}
    workers, disturbed = {}, set()

    def attempt(name, action, turn):
        try:
            return action()
        except Failure as failure:
            results[name]["error"] = str(failure)
            say(f"  {name} failed ({turn}): {failure}")
            if name in workers:
                workers.pop(name).close()
            return None

    def start(contestant):
        workers[contestant.name] = Worker(contestant, timeout)
        return workers[contestant.name].answer()

    try:
        for contestant in contestants:
            began = attempt(contestant.name, lambda c=contestant: start(c), "start")
            results[contestant.name].update(began or {})
        for number in range(rounds + 1):
            again = 0
            for name, worker in list(workers.items()):
                turn = f"round {number}" if number else "warm-up"
                most = tries if number and name not in disturbed else 1
                made = attempt(
                    name,
                    lambda w=worker, n=most: load.repeat(
                        lambda: w.ask("go"), tries=n, pause=pause
                    ),
                    turn,
                )
                if made and number:
                    results[name]["rounds"].append(made[-1])
                    again += len(made) - 1
                    if load.disturbs(made[-1]["others"]):
                        disturbed.add(name)
            say(f"  round {number} of {rounds}" + _repeated(again))
        for name, worker in list(workers.items()):
            last = attempt(name, lambda w=worker: w.ask("stop"), "stop")
            results[name].update(last or {})
    finally:
        for worker in workers.values():
            worker.close()
    return results


def _repeated(again):
    return f" ({again} repetitions because of other processes)" if again else ""
