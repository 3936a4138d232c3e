"""Evaluation, prediction and single steps, compared with Keras and a bare function.

python -m tests.benchmarks.inference [--rows 8 --length 10000 --units 128 --rounds 5]
    [--record]

Long sequences: ids -> Embedding(96, 64) -> LSTM(units) -> Dense(96), one batch,
`evaluate` and `predict` of `TruncatedBPTT` in windows of 100, with the kernel that it
chooses and with XLA's, and of the Keras model in one call, with and without XLA; by
default LSTM(128) on 8 rows of 10,000 steps and LSTM(256) on 64 of 2,000. The speed is
relative to the faster one of Keras. Single steps: LSTM(256), one row and one timestep
per call, `PureStep` in a compiled function against the same arithmetic written by hand
in a compiled function; the state is passed from call to call.
"""

import argparse
import functools
import statistics

import keras
import numpy as np
import tensorflow as tf

import bptt_keras as bk
from tests.benchmarks import figures
from tests.benchmarks.machine import describe_machine, median_ratio, report, take_turns
from tests.benchmarks.network import network

WINDOW, STEPS, STREAM_UNITS = 100, 2_000, 256
# Rows, timesteps, units.
SIZES = [(8, 10_000, 128), (64, 2_000, 256)]


def compiled(model, jit_compile):
    """The model, compiled with a loss."""
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(loss=loss, jit_compile=jit_compile)
    return model


def sequences(method, rows, length, units, rounds):
    """Times `evaluate` or `predict` on long sequences.

    Returns:
        How many times as fast this is as Keras: as its faster one, and without XLA.
    """
    ids = np.random.default_rng(0).integers(0, 96, (rows, length + 1))
    data = [ids[:, :-1]] + ([ids[:, 1:]] if method == "evaluate" else [])

    def run(model):
        function = getattr(model, method)
        return lambda: function(*data, batch_size=rows, verbose=0)

    contestants = {}
    for implementation in ("auto", "fused"):
        layer = functools.partial(bk.layers.LSTM, implementation=implementation)
        model = network(layer, units)
        kernel = model.layers[1].kernel_of(xla=True)
        ours = bk.TruncatedBPTT(model, window=WINDOW)
        contestants[f"TruncatedBPTT, {kernel}"] = run(compiled(ours, "auto"))
    for jit_compile, name in [(False, "Keras"), (True, "Keras, XLA")]:
        model = compiled(network(keras.layers.LSTM, units), jit_compile)
        contestants[name] = run(model)
    times = take_turns(contestants, rounds)
    print(f"\n{method}, {rows} rows of {length:,} steps, LSTM({units})")
    keras_alone = [name for name in times if name.startswith("Keras")]
    fastest = min(keras_alone, key=lambda name: statistics.median(times[name]))
    report(times, fastest)
    ours = next(iter(times.values()))
    return {
        f"{method}_{units}": median_ratio(times[fastest], ours),
        f"{method}_{units}_plain": median_ratio(times["Keras"], ours),
    }


def by_hand(layer):
    """One step of an LSTM as one function of tensors."""
    kernel, recurrent, bias = (w.value for w in layer.trainable_variables)

    def step(x, h, c):
        z = tf.matmul(x, kernel) + tf.matmul(h, recurrent) + bias
        i, f, g, o = tf.split(z, 4, axis=-1)
        c = tf.sigmoid(f) * c + tf.sigmoid(i) * tf.tanh(g)
        h = tf.sigmoid(o) * tf.tanh(c)
        return h, h, c

    return step


def single_steps(rounds):
    """Times a stream of one row, one timestep a call."""
    layer = bk.layers.LSTM(STREAM_UNITS, return_sequences=True)
    model = keras.Sequential([keras.Input((None, STREAM_UNITS)), layer])
    step = bk.PureStep(model)
    bare = tf.function(by_hand(layer), jit_compile=True, autograph=False)
    ours = tf.function(
        lambda x, state: step(x, state), jit_compile=True, autograph=False
    )
    x = tf.random.normal((1, STREAM_UNITS))

    def stream_bare():
        h = c = tf.zeros((1, STREAM_UNITS))
        for _ in range(STEPS):
            _, h, c = bare(x, h, c)
        return h.numpy()

    def stream():
        state, frame = step.initial_state(1), x[:, None]
        for _ in range(STEPS):
            outputs, state = ours(frame, state)
        return outputs.numpy()[:, -1]

    np.testing.assert_allclose(stream(), stream_bare(), atol=1e-5)
    times = take_turns({"bare function": stream_bare, "PureStep": stream}, rounds)
    print(f"\nsingle steps, 1 row, LSTM({STREAM_UNITS}), {STEPS:,} steps")
    report(times, "bare function", per=STEPS / 1e3, unit="us")
    beyond = statistics.median(
        (own - base) / STEPS
        for base, own in zip(*(times[n] for n in times), strict=True)
    )
    print(f"PureStep beyond the bare function: {1e6 * beyond:.0f} us a step")


def main():
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    names = ("rows", "length", "units")
    for name in names:
        parser.add_argument(f"--{name}", type=int)
    parser.add_argument("--rounds", type=int, default=5)
    figures.add_options(parser, "inference")
    args = parser.parse_args()
    given = [getattr(args, name) for name in names]
    if any(given) and not all(given):
        parser.error("--rows, --length and --units are given together, or none")
    print(describe_machine())
    print(f"{args.rounds} rounds in turn")
    found = {}
    for size in [given] if any(given) else SIZES:
        for method in ("evaluate", "predict"):
            found |= sequences(method, *size, args.rounds)
    single_steps(args.rounds)
    figures.publish(args, found)


if __name__ == "__main__":
    main()
