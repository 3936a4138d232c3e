"""What `TruncatedBPTT.fit` adds to a bare loop that calls the compiled step.

python -m tests.benchmarks.overhead [--rows 32 --window 64 --units 128 --rounds 9
                                     --windows-a-batch 1]

The work: ids -> Embedding(96, 64) -> LSTM(units) -> Dense(96) -> cross-entropy, Adam.
The bare loop is Python: for each window, one call of a graph that runs the same
compiled gradients and one compiled update, on tensors that were cut before the clock
started, without metrics, checks, clipping or gradient norms. The others are `fit` on a
stream: without live metrics, with them (the default), and in addition with clipping by
global norm, with an adaptive clipping rule, and with an accuracy and a callback. All
take turns in one process.
"""

import argparse

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


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in [("rows", 32), ("window", 64), ("units", 128), ("rounds", 9)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--windows-a-batch", type=int, default=1)
    args = parser.parse_args()
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
        f"time of one window"
    )
    report(take_turns(contestants, args.rounds), "bare loop", per=WINDOWS)


if __name__ == "__main__":
    main()
