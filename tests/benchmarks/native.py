"""The recurrence alone, native and by XLA, beside one big matrix product.

python -m tests.benchmarks.native [--shapes lstm gru] [--dtypes float32 bfloat16]
    [--sets avx512 avx2] [--threads 2] [--rounds 5]

For each shape of `shapes` the recurrence of one layer, inside a program that XLA
compiles, on inputs of 64 features (of `lstm-2`: as wide as its units). Contestants are
XLA's kernel, and the native one with each set of instructions that the processor has.
The table shows the milliseconds of the forward pass alone, which saves nothing; those
that the forward and backward pass together take beyond it; the GFLOP/s of both; which
fraction that is of the speed of a product of two matrices of 2048 by TensorFlow, in the
same dtype with the same threads (`of best`); and how many times as fast as XLA's kernel
it is. Medians of rounds in turn.
"""

import argparse
import functools
import math
import statistics
import time

import numpy as np
import tensorflow as tf

from bptt_keras.kernels.gru import gru
from bptt_keras.kernels.lstm import lstm
from bptt_keras.kernels.native.library import Unavailable, library
from bptt_keras.kernels.simple_rnn import simple_rnn
from tests.benchmarks.machine import describe_machine, median_ratio, take_turns
from tests.benchmarks.shapes import EMBEDDING, GATES, PRODUCT_SIDE, SHAPES

# Function, number of states, number of biases.
KERNELS = {"lstm": (lstm, 2, 1), "gru": (gru, 1, 2), "rnn": (simple_rnn, 1, 1)}
FUSED = "XLA's kernel"
# Calls of a turn take as many seconds, so that the load of the machine can be measured.
TURN = 0.3


def arguments_of(shape, dtype):
    """Random x, states, W, U and biases, and the operations of both passes."""
    _, states, biases = KERNELS[shape.kind]
    inputs = shape.units if shape.layers > 1 else shape.features or EMBEDDING
    wide = GATES[shape.kind] * shape.units
    sizes = [
        (shape.window, shape.rows, inputs),
        *[(shape.rows, shape.units)] * states,
        *[(inputs, wide), (shape.units, wide)],
        *[(wide,)] * biases,
    ]
    random = np.random.default_rng(0)
    values = (random.normal(size=size) / size[-1] ** 0.5 for size in sizes)
    tensors = [tf.cast(tf.constant(value, "float32"), dtype) for value in values]
    # Of each product, one in the forward pass and two in the backward pass.
    flops = 3 * 2 * shape.rows * shape.window * wide * (inputs + shape.units)
    return tensors, flops


def programs(shape, arguments, implementation):
    """Two functions without arguments: the forward pass, and both."""
    kernel = KERNELS[shape.kind][0]

    @tf.function(jit_compile=True, autograph=False)
    def forward(*arguments):
        return kernel(*arguments, save=False, implementation=implementation)

    @tf.function(jit_compile=True, autograph=False)
    def both(*arguments):
        with tf.GradientTape() as tape:
            tape.watch(arguments)
            outputs = kernel(*arguments, implementation=implementation)
        return tape.gradient(outputs, arguments)

    return lambda: forward(*arguments), lambda: both(*arguments)


def product(dtype):
    """A function that multiplies two matrices."""
    size = (PRODUCT_SIDE, PRODUCT_SIDE)
    a, b = (tf.cast(tf.random.normal(size), dtype) for _ in range(2))
    return lambda: [tf.matmul(a, b)]


def repeated(run, prepare=lambda: None):
    """`(function, n)`: it prepares and runs n times, `TURN` seconds or more."""

    def turn(n):
        prepare()
        for _ in range(n):
            results = run()
        return results[-1].numpy()

    turn(2)
    start = time.perf_counter()
    turn(2)
    each = (time.perf_counter() - start) / 2
    n = math.ceil(TURN / each)
    return lambda: turn(n), n


def measure(shape, dtype, sets, rounds):
    """Seconds of each round, `{"name, pass": [...]}`, and operations of both passes."""
    arguments, flops = arguments_of(shape, dtype)
    turns = {"product": repeated(product(dtype))}
    fused = programs(shape, arguments, "fused")
    native = programs(shape, arguments, "native") if sets else ()
    for what, run in zip(("forward", "both"), fused, strict=True):
        turns[f"{FUSED}, {what}"] = repeated(run)
    for name in sets:
        for what, run in zip(("forward", "both"), native, strict=True):
            choose = functools.partial(library().choose, name)
            turns[f"native {name}, {what}"] = repeated(run, choose)
    times = take_turns({key: turn for key, (turn, _) in turns.items()}, rounds)
    each = {key: [s / turns[key][1] for s in own] for key, own in times.items()}
    return each, flops


def table(each, flops):
    """The table as text, a line for each kernel."""
    fastest = 2 * PRODUCT_SIDE**3 / statistics.median(each["product"]) / 1e9
    lines = [
        f"{'':20}{'forward ms':>11}{'backward ms':>12}{'GFLOP/s':>9}{'of best':>9}"
        f"{'x XLA':>7}",
        f"{'product':20}{'':23}{fastest:9.0f}",
    ]
    limits = [s / (2 * PRODUCT_SIDE**3) * flops for s in each["product"]]
    for name in [key.removesuffix(", both") for key in each if key.endswith("both")]:
        forward, both = each[f"{name}, forward"], each[f"{name}, both"]
        backward = [b - f for b, f in zip(both, forward, strict=True)]
        lines.append(
            f"{name:20}{1e3 * statistics.median(forward):11.2f}"
            f"{1e3 * statistics.median(backward):12.2f}"
            f"{flops / statistics.median(both) / 1e9:9.0f}"
            f"{median_ratio(limits, both):9.0%}"
            f"{median_ratio(each[f'{FUSED}, both'], both):7.2f}"
        )
    return "\n".join(lines)


def sets_here():
    """The sets of instructions that native kernels can use; none without a library."""
    try:
        return library().sets()
    except Unavailable as reason:
        print(f"no native kernel: {reason}")
        return ()


def main():
    """Prints a table for each shape and dtype."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    dtypes = ["float32", "bfloat16"]
    parser.add_argument("--dtypes", nargs="+", choices=dtypes, default=dtypes)
    parser.add_argument("--sets", nargs="*", help="default: all of this processor")
    parser.add_argument("--threads", type=int, default=0, help="default: all cores")
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    tf.config.threading.set_intra_op_parallelism_threads(args.threads)
    print(describe_machine())
    sets = sets_here() if args.sets is None else args.sets
    print(f"{args.threads or 'as many as cores'} threads, {args.rounds} rounds in turn")
    for name in args.shapes:
        for dtype in args.dtypes:
            shape = SHAPES[name]
            inputs = "as wide" if shape.layers > 1 else shape.features or EMBEDDING
            print(
                f"\n{name}, {dtype}: {shape.kind.upper()}({shape.units}), {inputs} "
                f"inputs, {shape.rows} rows, window {shape.window}",
                flush=True,
            )
            print(table(*measure(shape, dtype, sets, args.rounds)), flush=True)


if __name__ == "__main__":
    main()
