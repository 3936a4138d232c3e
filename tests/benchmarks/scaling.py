"""How time and memory of training grow with length, rows, units, layers and shards.

python -m tests.benchmarks.scaling [--rounds 3] [--quick] [--out runs/scaling]

`TruncatedBPTT.fit` over streams of ids, windows of 64: Embedding(96, 64), LSTM layers,
Dense(96), cross-entropy, Adam, clipping. One size grows at a time, the others are
fixed: 8 rows, 64 units, 1 layer, as many shards as the trainer chooses, 2,048 timesteps
per row. The time is that of one epoch, sizes in turn, after an epoch that is not
counted. The exponent `e` of `time ~ size^e` is the slope of log(median seconds) over
log(size), by least squares: 1 is linear growth, 0 none. Memory by timesteps is that of
`tests.benchmarks.recomputation`: windows, recomputed states, and full backpropagation.
"""

import argparse
import json
import os
import statistics
from pathlib import Path

from tests.benchmarks.recomputation import (
    LENGTHS,
    METHODS,
    format_memory,
    memory,
    slope,
)

WINDOW = 64
BASE = {"length": 2_048, "rows": 8, "units": 64, "layers": 1, "shards": "auto"}
SWEEPS = {
    "length": (1_000, 10_000, 100_000, 1_000_000),
    "rows": (1, 4, 16, 64, 256),
    "units": (32, 64, 128, 256, 512),
    "layers": (1, 2, 4, 8),
    "shards": (1, 2, 4),
}
QUICK = {"length": (1_000, 10_000), "rows": (8, 32), "shards": (1, 2)}
QUICK_LENGTHS = (1_024, 4_096)


def contestant(length, rows, units, layers, shards):
    """A function that trains one epoch: `rows` streams of `length` timesteps."""
    import keras
    import numpy as np

    import bptt_keras as bk

    keras.utils.set_random_seed(0)
    recurrent = [bk.layers.LSTM(units, return_sequences=True) for _ in range(layers)]
    model = keras.Sequential(
        [keras.layers.Embedding(96, 64), *recurrent, keras.layers.Dense(96)]
    )
    trainer = bk.TruncatedBPTT(model, window=WINDOW, shards=shards)
    trainer.compile(
        optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    series = np.random.default_rng(0).integers(0, 96, rows * length + 1)
    dataset = bk.data.streams(series, batch_size=rows, window=WINDOW)
    return lambda: trainer.fit(dataset, verbose=0)


def sweep(name, values, rounds):
    """Times one epoch for each value of one size.

    Returns:
        A dict: `values`; `seconds`, a list of rounds for each value; `token_us`,
        microseconds a token, the median over rounds; `exponent`.
    """
    from tests.benchmarks.machine import take_turns

    sizes = {value: {**BASE, name: value} for value in values}
    times = take_turns(
        {value: contestant(**size) for value, size in sizes.items()}, rounds
    )
    seconds = [statistics.median(times[value]) for value in values]
    tokens = [size["rows"] * size["length"] for size in sizes.values()]
    return {
        "values": list(values),
        "seconds": [times[value] for value in values],
        "token_us": [1e6 * s / n for s, n in zip(seconds, tokens, strict=True)],
        "exponent": slope(values, seconds),
    }


def format_sweep(name, result):
    """A table of one sweep, as text."""
    lines = [f"{name:>10}{'seconds':>10}{'min':>9}{'max':>9}{'us a token':>12}"]
    columns = result["values"], result["seconds"], result["token_us"]
    for value, seconds, token in zip(*columns, strict=True):
        lines.append(
            f"{value:10,}{statistics.median(seconds):10.3f}{min(seconds):9.3f}"
            f"{max(seconds):9.3f}{token:12.3f}"
        )
    lines.append(f"time ~ {name}^{result['exponent']:.2f}")
    return "\n".join(lines)


def main(arguments=None):
    """Prints a table for each size; writes `scaling.json` and pictures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, help="default: 3; 2 with --quick")
    parser.add_argument("--quick", action="store_true", help="few and small sizes")
    parser.add_argument("--sweeps", nargs="+", choices=[*SWEEPS, "memory"])
    parser.add_argument("--out", type=Path, default=Path("runs/scaling"))
    args = parser.parse_args(arguments)
    sweeps = QUICK if args.quick else SWEEPS
    names = args.sweeps or [*sweeps, "memory"]
    rounds = args.rounds or (2 if args.quick else 3)
    args.out.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import tensorflow as tf

    from tests.benchmarks.machine import describe_machine
    from tests.benchmarks.pictures import plot_memory, plot_scaling

    # Each trainer traces its own functions, which TensorFlow takes for a mistake.
    tf.get_logger().setLevel("ERROR")
    print(describe_machine())
    print(f"window {WINDOW}, {rounds} rounds in turn, other sizes: {BASE}")
    report = {"machine": describe_machine(), "rounds": rounds, "sweeps": {}}
    pictures = []
    for name in [name for name in names if name != "memory"]:
        result = sweep(name, sweeps.get(name, SWEEPS[name]), rounds)
        report["sweeps"][name] = result
        print("\n" + format_sweep(name, result), flush=True)
    if report["sweeps"]:
        pictures.append(args.out / "scaling.png")
        plot_scaling(pictures[-1], report["sweeps"], f"Training, window {WINDOW}")
    if "memory" in names:
        lengths = QUICK_LENGTHS if args.quick else LENGTHS
        methods = memory(lengths, ("windows", *METHODS))
        report["memory"] = {"lengths": lengths, "methods": methods}
        print("\n" + format_memory(lengths, methods), flush=True)
        pictures.append(args.out / "memory.png")
        title = "One batch of 16 rows, LSTM(128)"
        plot_memory(pictures[-1], lengths, methods, title)
    text = json.dumps(report, indent=1) + "\n"
    (args.out / "scaling.json").write_text(text, encoding="utf-8")
    print("\nwritten:", *[args.out / "scaling.json", *pictures])


if __name__ == "__main__":
    main()
