"""Time of a window with and without keeping freed memory for the next window.

python -m tests.benchmarks.allocator [--rows 64 --window 100 --units 256 --rounds 5]
    [--record]

The work: ids -> Embedding(96, 64) -> LSTM(units) -> Dense(96) -> cross-entropy, one
window per batch, Adam, clipping by global norm. Each variant trains in its own process,
and they take turns.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time

from tests.benchmarks import figures
from tests.benchmarks.machine import describe_machine

SWITCH = "BPTT_KERAS_KEEP_MEMORY"
WINDOWS = 8


def train(rows, window, units, rounds):
    """Prints the seconds of a window, once for each line that comes in."""
    import keras

    import bptt_keras as bk
    from tests.benchmarks.layers import contestant

    tokens = [i % 96 for i in range(rows * window * WINDOWS + 1)]
    dataset = bk.data.streams(tokens, batch_size=rows, window=window)
    keras.utils.set_random_seed(0)
    run = contestant(bk.layers.LSTM, units, window, True, "auto", dataset)
    run()
    for _ in range(rounds):
        sys.stdin.readline()
        start = time.perf_counter()
        run()
        print((time.perf_counter() - start) / WINDOWS, flush=True)


def main():
    """Prints the median of each way, and the median of the rounds' ratios."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in [("rows", 64), ("window", 100), ("units", 256), ("rounds", 5)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    figures.add_options(parser, "allocator")
    args = parser.parse_args()
    sizes = (args.rows, args.window, args.units, args.rounds)
    if args.child:
        return train(*sizes)
    command = [sys.executable, "-m", "tests.benchmarks.allocator", *sys.argv[1:]]
    children = [
        subprocess.Popen(
            [*command, "--child"],
            env=os.environ | {SWITCH: switch},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for switch in "01"
    ]
    times = [[], []]
    for _ in range(args.rounds):
        for child, own in zip(children, times, strict=True):
            child.stdin.write("\n")
            child.stdin.flush()
            own.append(float(child.stdout.readline()))
    print(describe_machine())
    print(f"LSTM({args.units}), {args.rows} rows, window {args.window}")
    for name, own in zip(("given back", "kept"), times, strict=True):
        print(f"{name:12}{1e3 * statistics.median(own):9.1f} ms a window")
    ratio = statistics.median(a / b for a, b in zip(*times, strict=True))
    print(f"kept, times the speed: {ratio:.2f}")
    figures.publish(args, {"speed": ratio})


if __name__ == "__main__":
    main()
