"""Time of a window in `TruncatedBPTT.fit`: this package's layers against Keras'.

python -m tests.benchmarks.layers [--rows 64 --window 100 --units 256 --rounds 7]

The work: ids -> Embedding(96, 64) -> layer(units) -> Dense(96) -> cross-entropy, one
window per batch, Adam, clipping by global norm. Every contestant is trained by the same
trainer on the same data; Keras' layers run with and without XLA, and a user would
choose the faster of the two.
"""

import argparse

import keras
import numpy as np

import bptt_keras as bk
from tests.benchmarks.machine import describe_machine, report, take_turns
from tests.benchmarks.network import network

WINDOWS = 8


def contestant(layer, units, window, jit_compile, shards, dataset):
    """A function that trains `WINDOWS` windows."""
    trainer = bk.TruncatedBPTT(network(layer, units), window=window, shards=shards)
    trainer.compile(
        optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=1.0),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        jit_compile=jit_compile,
    )
    return lambda: trainer.fit(dataset, verbose=0)


def main():
    """Prints one table for each kind of layer."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in [("rows", 64), ("window", 100), ("units", 256), ("rounds", 7)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    series = np.random.default_rng(0).integers(
        0, 96, args.rows * args.window * WINDOWS + 1
    )
    dataset = bk.data.streams(series, batch_size=args.rows, window=args.window)
    print(describe_machine())
    for name in ("LSTM", "GRU", "SimpleRNN"):
        theirs, ours = getattr(keras.layers, name), getattr(bk.layers, name)
        print(
            f"\n{name}({args.units}), {args.rows} rows, window {args.window}, "
            f"{args.rounds} rounds in turn, time of one window"
        )
        runs = {
            f"keras.layers.{name}": (theirs, False, 1),
            "  with XLA": (theirs, True, 1),
            "  with shards": (theirs, False, 2),
            f"bk.layers.{name}": (ours, False, 1),
            "  with XLA ": (ours, True, 1),
            "  with XLA and shards": (ours, True, 2),
        }
        times = take_turns(
            {
                label: contestant(layer, args.units, args.window, jit, shards, dataset)
                for label, (layer, jit, shards) in runs.items()
            },
            args.rounds,
        )
        report(times, f"keras.layers.{name}", per=WINDOWS)


if __name__ == "__main__":
    main()
