"""What `TruncatedBPTT.fit` adds to a bare loop that calls the compiled step.

python -m tests.benchmarks.overhead [--rows 32 --window 64 --units 128 --rounds 9
                                     --windows-a-batch 1 --processor-time]

The work: ids -> Embedding(96, 64) -> LSTM(units) -> Dense(96) -> cross-entropy, Adam.
The bare loop is Python: for each window, one call of a graph that runs the same
compiled gradients and one compiled update, on tensors that were cut before the clock
started, without metrics, checks, clipping or gradient norms. The others are `fit` on a
stream: without live metrics, with them (the default), and in addition with clipping by
global norm, with an adaptive clipping rule, and with an accuracy and a callback. All
take turns in one process.

A second table takes a window apart: the program of its gradients, that of its update,
the same without live metrics, without clipping and without Adam, and the input
pipeline. The last line is what a `fit` costs beside its windows.
"""

import argparse
import statistics
import time

import keras
import numpy as np
import tensorflow as tf

import bptt_keras as bk
from tests.benchmarks.machine import describe_machine, report, take_turns
from tests.benchmarks.network import network
from tests.benchmarks.peers.bptt_keras_fit import Watch

WINDOWS = 40


def trainer_of(units, window, *, clip=None, rule=None, metrics=(), **options):
    """A compiled trainer."""
    model = network(bk.layers.LSTM, units)
    trainer = bk.TruncatedBPTT(model, window=window, **options)
    optimizer = keras.optimizers.Adam(1e-3, global_clipnorm=clip)
    if rule is not None:
        optimizer = bk.clipping.ClippedOptimizer(optimizer, rule)
    trainer.compile(
        optimizer=optimizer,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=list(metrics),
        jit_compile=True,
    )
    return trainer


def bare_loop(trainer, dataset):
    """A function that trains on the windows of a dataset with nothing around it."""
    from bptt_keras.training.batches.batch import Batch

    trainer.fit(dataset.take(1), verbose=0)
    setup = trainer._engine.setup
    programs = setup.modes["fit"].programs

    def update(gradients):
        programs.optimizer.apply(gradients, programs.variables)

    apply = programs.compiled(update)

    @tf.function(autograph=False)
    def step(window, state):
        result = programs.run_padded(programs.gradients, window, state)
        apply(result.gradients)
        return result.state

    windows = [Batch([inputs["inputs"]], [targets]) for inputs, targets in dataset]

    def run():
        state = setup.model.step.initial_state(windows[0].inputs[0].shape[0])
        for window in windows:
            state = step(window, state)
        return [part.numpy() for part in tf.nest.flatten(state)]

    return run


def parts(trainer, dataset):
    """Functions that run pieces of a window, as often as an epoch has windows."""
    from bptt_keras.training.batches.batch import Batch

    trainer.fit(dataset.take(1), verbose=0)
    setup = trainer._engine.setup
    mode = setup.modes["fit"]
    programs, updates = mode.programs, mode.windows.updates
    inputs, targets = next(iter(dataset))
    window = Batch([inputs["inputs"]], [targets])
    state = setup.model.step.initial_state(window.inputs[0].shape[0])
    rate = tf.constant(1.0)

    @tf.function(autograph=False)
    def gradients():
        return programs.run_padded(programs.gradients, window, state).gradients

    given = [tf.identity(gradient) for gradient in gradients()]

    def without(clip, optimizer):
        optimizer = optimizer(1e-3, global_clipnorm=clip)
        optimizer.build(programs.variables)
        apply = programs.compiled(lambda g: optimizer.apply(g, programs.variables))
        return lambda: apply(given)

    def often(function):
        def run():
            for _ in range(WINDOWS):
                result = function()
            # Programs may still run when a call returns.
            [tensor.numpy() for tensor in tf.nest.flatten(result) if tensor is not None]

        return run

    def read():
        for _ in dataset:
            pass

    once = dataset.take(1)
    return {
        "gradients": often(gradients),
        "update": often(lambda: updates._apply(given, rate, state)),
        "  without live metrics": often(without(1.0, keras.optimizers.Adam)),
        "  and clipping": often(without(None, keras.optimizers.Adam)),
        "  and Adam (SGD)": often(without(None, keras.optimizers.SGD)),
        "input pipeline": read,
        "fit of one window": lambda: trainer.fit(once, verbose=0),
    }


def report_parts(times):
    """Prints the median and the least time of a window's parts."""
    print(f"\n{'part of a window':24}{'median ms':>12}{'min':>9}")
    for name, seconds in times.items():
        each = [1e3 * s for s in seconds]
        if not name.startswith("fit"):
            each = [ms / WINDOWS for ms in each]
        print(f"{name:24}{statistics.median(each):12.2f}{min(each):9.2f}")


def main():
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in [("rows", 32), ("window", 64), ("units", 128), ("rounds", 9)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--windows-a-batch", type=int, default=1)
    parser.add_argument("--processor-time", action="store_true")
    args = parser.parse_args()
    clock = time.process_time if args.processor_time else time.perf_counter
    ids = np.random.default_rng(0).integers(
        0, 96, args.rows * args.window * WINDOWS + 1
    )
    rows, window = args.rows, args.window
    one_by_one = bk.data.streams(ids, batch_size=rows, window=window)
    longer = window * args.windows_a_batch
    dataset = bk.data.streams(ids, batch_size=rows, window=longer)

    def fit(callbacks=(), **options):
        trainer = trainer_of(args.units, args.window, **options)
        return lambda: trainer.fit(dataset, callbacks=list(callbacks), verbose=0)

    accuracy = "sparse_categorical_accuracy"
    contestants = {
        "bare loop": bare_loop(trainer_of(args.units, args.window), one_by_one),
        "fit, no live metrics": fit(live_metrics=False),
        "fit": fit(),
        "  and clipping": fit(clip=1.0),
        "  and ZClip": fit(rule=bk.clipping.ZClip()),
        "  and metric, callback": fit([Watch()], clip=1.0, metrics=[accuracy]),
    }
    print(describe_machine())
    print(
        f"LSTM({args.units}), {args.rows} rows, window {args.window}, "
        f"{args.windows_a_batch} windows a batch, {args.rounds} rounds in turn, "
        f"{'processor ' if args.processor_time else ''}time of one window"
    )
    times = take_turns(contestants, args.rounds, clock=clock)
    report(times, "bare loop", per=WINDOWS)
    pieces = parts(trainer_of(args.units, args.window, clip=1.0), one_by_one)
    report_parts(take_turns(pieces, args.rounds, clock=clock))


if __name__ == "__main__":
    main()
