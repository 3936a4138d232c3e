"""The speedup from workers in a search: `python -m tests.benchmarks.tuning`.

The same trials are run by one worker on one core and by several on as many cores, in
turn. The figure is trials per hour relative to one worker, counting only the time of
the trials: Python and TensorFlow start once per worker, in parallel.
"""

import argparse
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

OPTIONS = ["--vary", "learning-rate", "--epochs", "3", "--length", "1000"]


def seconds_of_trials(folder, workers, trials):
    """Runs one search on as many cores as workers; seconds of each trial."""
    command = [sys.executable, "-m", "zoo", "tune", "delayed-echo", "--out", folder]
    command += [*OPTIONS, "--workers", str(workers), "--trials", str(trials)]
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[:workers])
    try:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    finally:
        with contextlib.suppress(OSError):
            os.sched_setaffinity(0, cores)
    state = json.loads(json.loads((Path(folder) / "job.json").read_text())["value"])
    return [facts["seconds"] for facts in state["facts"].values()]


def main():
    """Reads the command line, measures in turn, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--workers", type=int, default=2, metavar="W")
    parser.add_argument("--rounds", type=int, default=2, metavar="N")
    arguments = parser.parse_args()
    count, ratios = arguments.workers, []
    for number in range(arguments.rounds):
        with tempfile.TemporaryDirectory() as folder:
            alone = seconds_of_trials(f"{folder}/one", 1, 4)
            beside = seconds_of_trials(f"{folder}/many", count, 4 * count)
        ratios.append(count * statistics.mean(alone) / statistics.mean(beside))
        print(
            f"round {number + 1}: a trial takes {statistics.mean(alone):.1f} s alone, "
            f"{statistics.mean(beside):.1f} s beside others: {ratios[-1]:.2f} times "
            "the trials per hour of one worker",
            flush=True,
        )
    print(f"median {statistics.median(ratios):.2f} with {count} workers")


if __name__ == "__main__":
    main()
