"""`python -m tests.zoo.hostile.fuzz`: parsers read files that are nearly valid.

Each parser reads one changed file after the other, in a process of its own that may
take 500 MB. It must read or refuse each (`ZooError`) within 2 seconds of processor
time. Anything else (another exception, the end of the process, too much time or memory)
is a failure: the file is saved, with what happened beside it, and the exit code is 1.
"""

import argparse
import dataclasses
import faulthandler
import gc
import multiprocessing
import os
import shutil
import sys
import tempfile
import time
import traceback
from pathlib import Path

from tests.zoo.hostile.parsers import PARSERS, Parser
from zoo.system.errors import ZooError

SECONDS, MEMORY = 2.0, 500 * 10**6
# Of one file on the clock, after which the process is ended: others may share the
# machine.
PATIENCE = 60.0
# Files that one process reads: what it keeps of them must not fill its memory.
AT_MOST = 20_000
LONGEST = 1000  # characters of an error
READ, REFUSED, FAILED = "read", "refused", "failed"


@dataclasses.dataclass
class Report:
    """What became of a parser's files."""

    parser: str
    read: int = 0
    refused: int = 0
    failed: list[tuple[int, str]] = dataclasses.field(default_factory=list)
    slowest: float = 0.0
    seconds: float = 0.0

    @property
    def cases(self) -> int:
        """How many there were."""
        return self.read + self.refused + len(self.failed)

    def __str__(self) -> str:
        return (
            f"{self.parser:<11} {self.cases:>9,} cases in {self.seconds / 60:.1f} min: "
            f"{self.read:,} read, {self.refused:,} refused, {len(self.failed)} failed; "
            f"slowest {self.slowest:.2f} s"
        )


def fuzz(name: str, seconds: float, *, first: int = 0, most: int = 10) -> Report:
    """Lets a parser read files for some time.

    Args:
        name: Name of the parser.
        seconds: How long.
        first: Seed of the first file; each next one has the next seed.
        most: After so many failures it ends.
    """
    report, began, seed = Report(name), time.monotonic(), first
    parser = PARSERS[name]
    parser.case(seed)  # The samples are made before the process forks.
    while time.monotonic() - began < seconds and len(report.failed) < most:
        seed = _in_a_process(parser, seed, began + seconds, report)
    report.seconds = time.monotonic() - began
    return report


def _in_a_process(parser: Parser, first: int, until: float, report: Report) -> int:
    """Reads files in a new process until one ends it; returns the next seed."""
    ours, theirs = multiprocessing.Pipe()
    context = multiprocessing.get_context("fork")
    child = context.Process(target=_read_files, args=(parser, first, theirs))
    child.start()
    theirs.close()
    seed = first
    try:
        # One at least: on a busy machine a process takes a second to begin.
        while seed == first or (time.monotonic() < until and seed < first + AT_MOST):
            if not ours.poll(PATIENCE):
                report.failed.append((seed, f"not done after {PATIENCE:.0f} s"))
                return seed + 1
            ended, took, error = ours.recv()
            if ended == FAILED:
                report.failed.append((seed, error))
            else:
                setattr(report, ended, getattr(report, ended) + 1)
            report.slowest = max(report.slowest, took)
            seed += 1
        return seed
    except EOFError:
        child.join()
        report.failed.append((seed, f"the process ended with {child.exitcode}"))
        return seed + 1
    finally:
        child.kill()
        child.join()
        ours.close()


def _read_files(parser: Parser, first: int, pipe) -> None:
    faulthandler.enable(sys.__stderr__)
    # Parsers tell what they had to change.
    sys.stdout = sys.stderr = open(os.devnull, "w")  # noqa: SIM115
    # To look for garbage among what the parent has made would copy all of it.
    gc.freeze()
    before = _peak(anew=True)
    with tempfile.TemporaryDirectory() as folder:
        for seed in range(first, first + AT_MOST):
            try:
                found = read_one(parser, seed, Path(folder))
                if found[1] > SECONDS:
                    # A file that takes long does so again; a first import does not.
                    found = min(found, read_one(parser, seed, Path(folder)), key=_took)
            except BaseException:
                found = (FAILED, 0.0, traceback.format_exc())
            if _peak() - before > MEMORY:
                before = _peak(anew=True)
                found = (FAILED, found[1], f"it took more than {MEMORY:,} bytes")
            pipe.send(found)


def _took(found: tuple[str, float, str]) -> float:
    return found[1]


def _peak(*, anew: bool = False) -> int:
    """The most memory that this process has had, in bytes.

    Args:
        anew: Whether to begin anew: a child begins with what its parent once had.
    """
    if anew:
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(x.split()[1]) for x in lines if x.startswith("VmHWM"))


def read_one(parser: Parser, seed: int, folder: Path) -> tuple[str, float, str]:
    """Lets a parser read the file of a seed.

    Returns:
        How it ended, seconds of processor time, and words on a failure.
    """
    name, content = parser.case(seed)
    path = folder / name
    # A new file each time: a parser may know an old one by its path.
    path.parent.mkdir(parents=True, exist_ok=True)
    parser.around(path)
    path.write_bytes(content)
    start, ended, error = time.process_time(), READ, ""
    try:
        parser.read(path)
    except ZooError as refusal:
        ended, words = REFUSED, str(refusal)
        if "\n" in words or len(words) > LONGEST or "Errno" in words:
            ended, error = FAILED, f"this is no sentence: {words!r:.5000}"
    except BaseException:
        ended, error = FAILED, traceback.format_exc()
    took = time.process_time() - start
    if took > SECONDS and ended != FAILED:
        ended, error = FAILED, f"it took {took:.1f} s of processor time"
    left = sorted(p for p in folder.iterdir() if p.name != Path(name).parts[0])
    if left and ended != FAILED:
        ended, error = FAILED, f"it has written {left[0].name!r}"
    for one in folder.iterdir():
        shutil.rmtree(one) if one.is_dir() else one.unlink()
    return ended, took, error


def save(parser: Parser, seed: int, error: str, folder: Path) -> Path:
    """Saves the file of a seed, and beside it what happened."""
    name, content = parser.case(seed)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{seed}-{Path(name).name}"
    path.write_bytes(content)
    path.with_name(f"{path.name}.txt").write_text(f"{name}\n{error}\n")
    return path


def main(arguments: list[str] | None = None) -> int:
    """Runs the command line; returns the exit code."""
    options = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    options.add_argument("--minutes", type=float, default=10.0, help="of each parser")
    options.add_argument("--parser", choices=PARSERS, action="append")
    options.add_argument("--seed", type=int, default=0, help="of the first file")
    options.add_argument("--out", type=Path, default=Path("runs/fuzz"))
    given = options.parse_args(arguments)
    failures = 0
    for name in given.parser or PARSERS:
        report = fuzz(name, 60 * given.minutes, first=given.seed)
        print(report, flush=True)
        for seed, error in report.failed:
            path = save(PARSERS[name], seed, error, given.out / name)
            print(f"  {path}: {error.strip().splitlines()[-1]:.200}", flush=True)
        failures += len(report.failed)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
