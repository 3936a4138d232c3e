"""Layers that are parallel in time against one that is not, in tokens per second.

python -m tests.benchmarks.parallel [--rows 4 --length 4096 --units 128 --rounds 7]
    [--record]

The work: `TruncatedBPTT.fit` with all timesteps in one window, from inputs of as many
features as units through one layer and Dense(1) to a mean squared error; Adam, clipping
by global norm.
"""

import argparse
import statistics

import keras
import numpy as np
import tensorflow as tf

import bptt_keras as bk
from tests.benchmarks import figures
from tests.benchmarks.machine import describe_machine, median_ratio, report, take_turns

LAYERS = ("LSTM", "MinGRU", "MinLSTM", "LRU")
BATCHES = 3


def contestant(kind, units, x):
    """A function that trains on `BATCHES` batches."""
    layer = getattr(bk.layers, kind)(units, return_sequences=True)
    model = keras.Sequential([layer, keras.layers.Dense(1)])
    trainer = bk.TruncatedBPTT(model, window=x.shape[1])
    trainer.compile(keras.optimizers.Adam(1e-3, global_clipnorm=1.0), "mse")
    dataset = tf.data.Dataset.from_tensors((x, x[..., :1])).repeat(BATCHES)
    return lambda: trainer.fit(dataset, verbose=0)


def main():
    """Prints the times and the tokens per second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    defaults = {"rows": 4, "length": 4096, "units": 128, "rounds": 7}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    figures.add_options(parser, "parallel")
    args = parser.parse_args()
    shape = (args.rows, args.length, args.units)
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    print(describe_machine())
    print(
        f"{args.rows} rows of {args.length} steps, {args.units} units, "
        f"{args.rounds} rounds in turn, time of one batch"
    )
    times = take_turns(
        {kind: contestant(kind, args.units, x) for kind in LAYERS}, args.rounds
    )
    report(times, LAYERS[0], per=BATCHES)
    for kind, seconds in times.items():
        tokens = BATCHES * args.rows * args.length / statistics.median(seconds)
        print(f"{kind:24}{tokens:12,.0f} tokens/s")
    baseline, *others = LAYERS
    speeds = {k.lower(): median_ratio(times[baseline], times[k]) for k in others}
    figures.publish(args, speeds)


if __name__ == "__main__":
    main()
