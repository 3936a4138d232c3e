"""Time of a fused LSTM with resets inside the sequence against one without.

python -m tests.benchmarks.resets [--rounds 41] [--record]

Forward and backward pass of one layer under XLA, random inputs; the reset flags are
`(batch, time)`, about 1 % of them set. The figure is the median over rounds of the
ratio of two consecutive calls.
"""

import argparse

import numpy as np
import tensorflow as tf

import bptt_keras as bk
from tests.benchmarks import figures
from tests.benchmarks.machine import describe_machine, median_ratio, report, take_turns

# Rows, timesteps, units: of as many features as units.
SIZES = [(32, 64, 128), (64, 100, 256)]


def contestant(layer, x, reset):
    """A function that runs the layer forward and backward once."""

    @tf.function(jit_compile=True)
    def gradients(x, *reset):
        with tf.GradientTape() as tape:
            tape.watch(x)
            outputs = layer(x, reset=reset[0] if reset else None)
            loss = tf.reduce_sum(outputs * outputs)
        weights = [weight.value for weight in layer.trainable_variables]
        return tape.gradient(loss, [x, *weights])

    arguments = [x] if reset is None else [x, reset]
    return lambda: gradients(*arguments)[0].numpy()


def main():
    """Prints a table for each kind and size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=41)
    parser.add_argument("--layers", nargs="*", default=["LSTM"])
    figures.add_options(parser, "resets")
    args = parser.parse_args()
    speeds = []
    print(describe_machine())
    random = np.random.default_rng(0)
    for rows, steps, units in SIZES:
        x = tf.constant(random.normal(size=(rows, steps, units)), tf.float32)
        reset = tf.constant(random.random((rows, steps)) < 0.01)
        for name in args.layers:
            layer = getattr(bk.layers, name)(units, return_sequences=True)
            layer.build(x.shape)
            times = take_turns(
                {
                    "without resets": contestant(layer, x, None),
                    "with resets": contestant(layer, x, reset),
                    "without, again": contestant(layer, x, None),
                },
                args.rounds,
            )
            print(f"\n{name}({units}), {rows} rows of {steps} timesteps")
            report(times, "without resets")
            speeds.append(median_ratio(times["without resets"], times["with resets"]))
    figures.publish(args, {"low": min(speeds), "high": max(speeds)})


if __name__ == "__main__":
    main()
