"""A contestant that computes nothing, for tests of the rounds.

python -m tests.benchmarks.fake_worker HOW SECONDS [LOAD ...]

HOW is `well`, or how it fails: `raises`, `exits`, `hangs` or `prints`. LOAD are the
cores that other processes seem to take in each turn, the last one in all that follow;
without them, what they really take.
"""

import itertools
import sys
import time

from tests.benchmarks import load
from tests.benchmarks.peers.protocol import serve


def main(how, seconds, *loads):
    """Answers as a contestant does; a window takes so many seconds."""
    turns = itertools.count()
    if loads:
        seen = itertools.chain(loads, itertools.repeat(loads[-1]))
        load.others = lambda before, after: next(seen)

    def train(windows):
        turn = next(turns)
        if turn == 2 and how == "raises":
            raise ValueError("the first line\nand another")
        if turn == 2 and how == "exits":
            sys.exit("no such thing")
        if turn == 2 and how == "hangs":
            time.sleep(60)
        # What libraries print must not be taken for an answer.
        print("step", turn)
        time.sleep(seconds * windows)
        return 1.0 / (1 + turn)

    if how == "prints":
        print("hello")
        return
    shape = '{"rows": 1, "window": 1, "units": 1, "windows": 2}'
    serve(
        lambda shape: train,
        {"Fake": how},
        [shape, "{}"],
        about=lambda train: {"kernel": "none"},
    )


if __name__ == "__main__":
    main(sys.argv[1], *map(float, sys.argv[2:]))
