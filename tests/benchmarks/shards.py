"""Where two programs side by side begin to be faster than one for a whole batch.

python -m tests.benchmarks.shards [--rounds 7] [--use fit evaluate]

ids -> Embedding(96, 64) -> LSTM(units) -> Dense(96) in batches of 8 windows. The table
says rows times weights that are multiplied in a timestep, by which `shards="auto"`
chooses, and how much faster one program is than two. For training all windows are one
program, in evaluation as well; it is so by force here, whatever the size.
"""

import argparse
import statistics

import keras
import numpy as np

import bptt_keras as bk
from bptt_keras.training import shards
from tests.benchmarks.machine import describe_machine, median_ratio, take_turns
from tests.benchmarks.peers import bptt_keras_fit
from tests.benchmarks.shapes import Shape

SEVERAL = 8
SIZES = [
    Shape(4, 20, 32, windows=512),
    Shape(4, 50, 64, windows=256),
    Shape(16, 50, 32, windows=256),
    Shape(8, 50, 64, windows=256),
    Shape(16, 50, 64, windows=128),
    Shape(8, 50, 128, windows=128),
    Shape(32, 50, 64, windows=128),
    Shape(16, 50, 128, windows=64),
    Shape(32, 50, 128, windows=64),
]


def training(shape, count):
    """A function that trains on all windows of a shape."""
    train = bptt_keras_fit.build(shape, shards=count, batch_windows=SEVERAL)
    return lambda: train(shape.windows)


def evaluation(shape, count):
    """A function that evaluates as many timesteps."""
    model = bptt_keras_fit.network(shape)
    trainer = bk.TruncatedBPTT(model, window=shape.window, shards=count)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trainer.compile("sgd", loss)
    steps = shape.window * shape.windows
    x, y = np.random.default_rng(0).integers(0, 96, (2, shape.rows, steps))
    return lambda: trainer.evaluate(x, y, batch_size=shape.rows, verbose=0)


def main():
    """Prints a table for each use."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--use", nargs="*", default=["fit", "evaluate"])
    args = parser.parse_args()
    print(describe_machine())
    print(f"{args.rounds} rounds in turn")
    shards._SMALL = dict.fromkeys(shards._SMALL, float("inf"))
    for use in args.use:
        prepare = {"fit": training, "evaluate": evaluation}[use]
        print(f"\n{use}")
        print(f"{'':24}{'rows x weights':>16}{'two ms':>10}{'one ms':>10}  faster")
        for shape in SIZES:
            times = take_turns({n: prepare(shape, n) for n in (2, 1)}, args.rounds)
            model = bptt_keras_fit.network(shape)
            model.build((None, None))
            two, one = (
                1e3 * statistics.median(t) / shape.windows for t in times.values()
            )
            ratio = median_ratio(times[2], times[1])
            name = f"{shape.rows} rows, LSTM({shape.units})"
            work = shape.rows * shards._multiplied(model)
            print(f"{name:24}{work:16,}{two:10.3f}{one:10.3f}{ratio:7.2f}x", flush=True)


if __name__ == "__main__":
    main()
