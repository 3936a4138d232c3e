"""The size from which two parallel programs are faster than one for a whole batch.

python -m tests.benchmarks.shards [--rounds 7] [--use fit evaluate predict]

ids -> Embedding(96, 64) -> LSTM(units) -> Dense(96) in batches of 8 windows. The table
shows rows times weights that are multiplied per timestep, by which `shards="auto"`
chooses, and how much faster one program for the 8 windows is than two parallel programs
for each of them. Each variant is forced, whatever the size.
"""

import argparse
import functools
import statistics

import keras

import bptt_keras as bk
from bptt_keras.training.programs import shards
from bptt_keras.training.programs.whole_batch import SEVERAL
from tests.benchmarks.machine import describe_machine, median_ratio, take_turns
from tests.benchmarks.peers import bptt_keras_fit, data
from tests.benchmarks.shapes import Shape

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


def without_gradients(method, shape, count):
    """A function that evaluates or predicts all windows of a shape."""
    model = bptt_keras_fit.network(shape)
    trainer = bk.TruncatedBPTT(model, window=shape.window, shards=count)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trainer.compile("sgd", loss)
    inputs, targets = data.series(shape)
    batches = bk.data.streams(
        inputs,
        targets=targets if method == "evaluate" else None,
        batch_size=shape.rows,
        window=shape.window * SEVERAL,
    )
    return lambda: getattr(trainer, method)(batches, verbose=0)


PREPARE = {
    "fit": training,
    "evaluate": functools.partial(without_gradients, "evaluate"),
    "predict": functools.partial(without_gradients, "predict"),
}


def main():
    """Prints a table for each use."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--use", nargs="*", default=list(PREPARE), choices=PREPARE)
    args = parser.parse_args()
    print(describe_machine())
    print(f"{args.rounds} rounds in turn")
    shards._SMALL = dict.fromkeys(shards._SMALL, float("inf"))
    for use in args.use:
        prepare = PREPARE[use]
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
