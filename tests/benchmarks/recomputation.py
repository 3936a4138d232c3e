"""Memory and time of full backpropagation, with and without recomputing states.

python -m tests.benchmarks.recomputation [--rounds 5] [--record]

One batch of 16 rows of ids through Embedding(64, 64), LSTM(128), Dense(64) and
cross-entropy, backpropagated through all timesteps (`window=None`). Memory: how much
one update, not the first, raises the memory of a process. The slope is that of
log(memory) over log(timesteps), by least squares. Memory that one update would keep for
the next is returned to the system here; otherwise it would hide what the next one
needs. Time: one update, contestants in turn in one process.
"""

import argparse
import ctypes
import gc
import math
import os
import statistics
import subprocess
import sys

from tests.benchmarks import figures

ROWS, UNITS, IDS = 16, 128, 64
LENGTHS = (1_024, 2_048, 4_096, 8_192, 16_384)
METHODS = ("none", "sqrt", "revolve")
WINDOW = 64
# Of the table that is published: the lengths, and the titles of the methods.
PUBLISHED = LENGTHS[::2]
TITLES = ["all kept", '`"sqrt"`', "`Revolve(8, segment=16)`"]
# Tensors of more than 64 KiB get pages of their own, which are given back when they are
# freed: else what a process keeps for later hides what an update needs. oneDNN's
# allocator, which TensorFlow takes on some processors, keeps them.
_RETURN_MEMORY = {
    "TF_ENABLE_ONEDNN_OPTS": "0",
    "BPTT_KERAS_KEEP_MEMORY": "0",
    "MALLOC_MMAP_THRESHOLD_": "65536",
    "MALLOC_ARENA_MAX": "1",
}


def _trainer(method, length):
    import keras

    import bptt_keras as bk

    recompute = {
        "none": None,
        "windows": None,
        "sqrt": "sqrt",
        # Segments of 16 timesteps run faster than single ones.
        "revolve": bk.truncation.Revolve(8, segment=16),
    }[method]
    model = keras.Sequential(
        [
            keras.layers.Embedding(IDS, 64),
            bk.layers.LSTM(UNITS, return_sequences=True),
            keras.layers.Dense(IDS),
        ]
    )
    window = WINDOW if method == "windows" else None
    trainer = bk.TruncatedBPTT(model, window=window, recompute=recompute, shards=1)
    trainer.compile(
        keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
        keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return trainer, *_data(length)


def _data(length):
    import numpy as np

    ids = np.random.default_rng(0).integers(0, IDS, (ROWS, length + 1))
    return ids[:, :-1], ids[:, 1:]


def peak_memory(method, length, timeout=900):
    """MiB by which one batch raises the memory of a process of its own.

    Args:
        method: One of `METHODS`, or "windows": truncated, with an update each window.
        length: Timesteps of the batch.
        timeout: Seconds.
    """
    module = "tests.benchmarks.recomputation"
    command = [sys.executable, "-m", module, "--peak", method, str(length)]
    done = subprocess.run(
        command,
        env=os.environ | _RETURN_MEMORY,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=True,
    )
    return float(done.stdout.splitlines()[-1])


def slope(lengths, memory):
    """Slope of log(memory) over log(length), by least squares."""
    x, y = ([math.log(v) for v in values] for values in (lengths, memory))
    mean_x, mean_y = sum(x) / len(x), sum(y) / len(y)
    covariance = sum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    return covariance / sum((a - mean_x) ** 2 for a in x)


def _peak(method, length):
    """Prints by how many MiB one update raises the memory of this process (Linux)."""
    trainer, x, y = _trainer(method, length)
    trainer.train_on_batch(x, y)
    rises = []
    for _ in range(5):
        # What came before is given back, and the mark of the highest use set to where
        # memory stands.
        gc.collect()
        ctypes.CDLL(None).malloc_trim(0)
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
        before = _status("VmRSS")
        trainer.train_on_batch(x, y)
        rises.append(_status("VmHWM") - before)
    print(statistics.median(rises))


def _status(field):
    with open("/proc/self/status") as file:
        lines = [line for line in file if line.startswith(field)]
    return int(lines[0].split()[1]) / 1024


def memory(lengths, methods):
    """Measures the memory that one batch adds, by method and length.

    Returns:
        `{method: {"mib": [...], "exponent": number}}`; "none" is full backpropagation
        with every state kept.
    """
    result = {}
    for method in methods:
        mib = [peak_memory(method, length) for length in lengths]
        result[method] = {"mib": mib, "exponent": slope(lengths, mib)}
    return result


def format_memory(lengths, result):
    """A table of the memory, as text."""
    lines = [f"{'timesteps':>10}" + "".join(f"{m + ' MiB':>14}" for m in result)]
    for i, length in enumerate(lengths):
        values = "".join(f"{r['mib'][i]:14.1f}" for r in result.values())
        lines.append(f"{length:10,}{values}")
    slopes = "".join(f"{r['exponent']:14.2f}" for r in result.values())
    return "\n".join([*lines, f"{'exponent':>10}{slopes}"])


def table(lengths, result):
    """Titles and rows of the memory, of the lengths that are published."""
    rows = [
        [f"{length:,}", *(_short(r["mib"][i]) for r in result.values())]
        for i, length in enumerate(lengths)
        if length in PUBLISHED
    ]
    growth = [f"T^{r['exponent']:.2f}" for r in result.values()]
    return ["timesteps", *TITLES], [*rows, ["growth", *growth]]


def _short(mib):
    return f"{mib:.1f}" if mib < 9.95 else f"{mib:,.0f}"


def _print_time(rounds):
    """Prints the times; returns how many times as long each method takes."""
    from tests.benchmarks.machine import median_ratio, report, take_turns

    longer = {method: [] for method in METHODS[1:]}
    for length in (1_024, 4_096):
        contestants = {}
        for method in METHODS:
            trainer, x, y = _trainer(method, length)
            contestants[method] = lambda t=trainer, x=x, y=y: t.train_on_batch(x, y)
        print(f"\n{length:,} timesteps, {rounds} rounds in turn, time of one update")
        times = take_turns(contestants, rounds)
        report(times, "none")
        for method, ratios in longer.items():
            ratios.append(median_ratio(times[method], times["none"]))
    low = {f"{method}_low": min(ratios) for method, ratios in longer.items()}
    return low | {f"{method}_high": max(ratios) for method, ratios in longer.items()}


def main():
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--peak", nargs=2, metavar=("METHOD", "LENGTH"))
    figures.add_options(parser, "recomputation")
    args = parser.parse_args()
    if args.peak:
        _peak(args.peak[0], int(args.peak[1]))
        return
    from tests.benchmarks.machine import describe_machine

    print(describe_machine())
    taken = memory(LENGTHS, METHODS)
    print("\n" + format_memory(LENGTHS, taken))
    found = {"rounds": args.rounds, **_print_time(args.rounds)}
    figures.publish(args, found, table=table(LENGTHS, taken))


if __name__ == "__main__":
    main()
