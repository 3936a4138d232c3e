"""The cost of a call, measured in a child process."""

import dataclasses
import multiprocessing
import resource
import time
import traceback
from pathlib import Path

from zoo.system.errors import ZooError


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a call ended.

    Args:
        error: The words of a `ZooError`, or a trace of anything else; "" if there was
            none.
        refused: Whether it was a `ZooError`.
        seconds: Processor time of the call: other processes may share the machine.
        megabytes: Peak of memory above that before the call.
    """

    error: str
    refused: bool
    seconds: float
    megabytes: float


def _memory() -> float:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def _call(pipe, function, arguments):
    before, start = _memory(), time.process_time()
    error, refused = "", False
    try:
        function(*arguments)
    except ZooError as one:
        error, refused = str(one), True
    except BaseException:
        error = traceback.format_exc()
    seconds = time.process_time() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    pipe.send(Outcome(error, refused, seconds, peak - before))


def outcome(function, *arguments, limit=60) -> Outcome:
    """Calls a function in a fork of this process.

    Args:
        function: What is called.
        *arguments: Of the function.
        limit: Seconds on the clock after which the child is ended.
    """
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_call, args=(theirs, function, arguments))
    child.start()
    theirs.close()
    try:
        if ours.poll(limit):
            return ours.recv()
        return Outcome("it took too long", False, limit, 0.0)
    except EOFError:
        child.join()
        return Outcome(f"the process ended with {child.exitcode}", False, 0.0, 0.0)
    finally:
        child.kill()
        child.join()


def refusal(function, *arguments) -> str:
    """The words of a refusal, which is quick, short and needs little memory."""
    found = outcome(function, *arguments)
    assert found.refused, found.error
    assert "\n" not in found.error and len(found.error) < 700
    assert found.seconds < 2 and found.megabytes < 500
    return found.error
