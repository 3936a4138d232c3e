"""What `TruncatedBPTT.fit` adds to a bare loop that calls the compiled step.

python -m tests.benchmarks.overhead [--rows 32 --window 64 --units 128 --rounds 9]

The work: ids -> Embedding(96, 64) -> LSTM(units) -> Dense(96) -> cross-entropy, Adam.
The bare loop is Python: for each window, one call of a graph that runs the same
compiled gradients and one compiled update, on tensors that were cut before the clock
started, without metrics, checks, clipping or the gradient's norm. The others are `fit`
on a stream: alone, with clipping by global norm, and with an accuracy and a callback as
well. All take turns in one process.
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


def trainer_of(units, window, *, clip=None, metrics=()):
    """A compiled trainer."""
    trainer = bk.TruncatedBPTT(network(bk.layers.LSTM, units), window=window)
    trainer.compile(
        optimizer=keras.optimizers.Adam(1e-3, global_clipnorm=clip),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=list(metrics),
        jit_compile=True,
    )
    return trainer


def bare_loop(trainer, dataset):
    """A function that trains on the windows of a dataset with nothing around it."""
    from bptt_keras.training.batch import Batch
    from bptt_keras.training.sources import WholeGradients

    trainer.fit(dataset.take(1), verbose=0)
    engine = trainer._engine
    programs = engine.uses["fit"].programs
    gradients = WholeGradients(programs, programs.gradients, engine.shards)

    def update(gradients):
        programs.optimizer.apply(gradients, programs.variables)

    apply = programs.compiled(update)

    @tf.function(autograph=False)
    def step(window, state):
        result = gradients(window, state)
        apply(result.gradients)
        return result.state

    windows = [Batch([inputs["inputs"]], targets) for inputs, targets in dataset]

    def run():
        state = engine.step.initial_state(windows[0].inputs[0].shape[0])
        for window in windows:
            state = step(window, state)
        return [part.numpy() for part in tf.nest.flatten(state)]

    return run


def main():
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in [("rows", 32), ("window", 64), ("units", 128), ("rounds", 9)]:
        parser.add_argument(f"--{name}", type=int, default=default)
    args = parser.parse_args()
    ids = np.random.default_rng(0).integers(
        0, 96, args.rows * args.window * WINDOWS + 1
    )
    dataset = bk.data.streams(ids, batch_size=args.rows, window=args.window)

    def fit(callbacks=(), **options):
        trainer = trainer_of(args.units, args.window, **options)
        return lambda: trainer.fit(dataset, callbacks=list(callbacks), verbose=0)

    accuracy = "sparse_categorical_accuracy"
    contestants = {
        "bare loop": bare_loop(trainer_of(args.units, args.window), dataset),
        "fit": fit(),
        "  and clipping": fit(clip=1.0),
        "  and metric, callback": fit([Watch()], clip=1.0, metrics=[accuracy]),
    }
    print(describe_machine())
    print(
        f"LSTM({args.units}), {args.rows} rows, window {args.window}, {args.rounds} "
        f"rounds in turn, time of one window"
    )
    report(take_turns(contestants, args.rounds), "bare loop", per=WINDOWS)


if __name__ == "__main__":
    main()
