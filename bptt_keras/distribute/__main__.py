"""`python -m bptt_keras.distribute --workers N program.py`: see `launching`."""

import argparse
import sys

from bptt_keras.distribute.launching import launch


def main() -> int:
    """Runs the command line; returns the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m bptt_keras.distribute",
        description="Runs a program in several processes that train together.",
    )
    parser.add_argument("--workers", type=int, required=True, help="how many")
    parser.add_argument(
        "--no-pin", action="store_true", help="let each process use all cores"
    )
    parser.add_argument("-m", dest="module", help="a module, in place of a program")
    parser.add_argument("program", nargs=argparse.REMAINDER, help="and its arguments")
    given = parser.parse_args()
    if given.workers < 1:
        parser.error(f"--workers must be at least 1, not {given.workers}")
    if not (given.module or given.program):
        parser.error("there is no program")
    module = ["-m", given.module] if given.module else []
    command = [sys.executable, *module, *given.program]
    return launch(command, given.workers, pin=not given.no_pin)


if __name__ == "__main__":
    sys.exit(main())
