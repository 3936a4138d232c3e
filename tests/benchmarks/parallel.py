"""Layers that are parallel in time against one that is not: tokens per second.

python -m tests.benchmarks.parallel [--rows 4 --length 4096 --units 128 --rounds 7]

The work: forward and backward through one layer, from inputs of as many features as
units to the gradients of inputs and weights, in one XLA program without windows.
"""

import argparse
import statistics

import numpy as np
import tensorflow as tf

import bptt_keras as bk
from tests.benchmarks.machine import describe_machine, report, take_turns

LAYERS = ("LSTM", "MinGRU", "MinLSTM", "LRU")


def contestant(kind, units, x):
    """A function that runs a layer forward and backward once."""
    layer = getattr(bk.layers, kind)(units, return_sequences=True)
    layer.build(x.shape)

    @tf.function(jit_compile=True, autograph=False)
    def gradients(x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            loss = tf.reduce_mean(layer(x) ** 2)
        return tape.gradient(loss, [x, *(v.value for v in layer.trainable_variables)])

    return lambda: [slope.numpy() for slope in gradients(x)]


def main():
    """Prints the times and the tokens per second."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    defaults = {"rows": 4, "length": 4096, "units": 128, "rounds": 7}
    for name, default in defaults.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    shape = (args.rows, args.length, args.units)
    x = tf.constant(np.random.default_rng(0).normal(size=shape), tf.float32)
    print(describe_machine())
    print(
        f"{args.rows} rows of {args.length} steps, {args.units} units, "
        f"{args.rounds} rounds in turn, forward and backward"
    )
    times = take_turns(
        {kind: contestant(kind, args.units, x) for kind in LAYERS}, args.rounds
    )
    report(times, LAYERS[0])
    for kind, seconds in times.items():
        tokens = args.rows * args.length / statistics.median(seconds)
        print(f"{kind:24}{tokens:12,.0f} tokens/s")


if __name__ == "__main__":
    main()
