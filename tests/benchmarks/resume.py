"""What `Resume` costs: how long a step waits for a save, and how fast it resumes.

python -m tests.benchmarks.resume [--units 1400] [--rounds 5] [--record]

`stall`: the time within the callback when it saves, and how much longer the next step
takes than one beside which nothing is written, medians. `share`: what a save a minute
costs: this, and what is added to all steps while the save is written in the background.
The first save is left out, for which memory is taken that the others use again.
`restore`: from the start of `fit`
in a new process until a first batch has been trained, late in a stream, beside the same
from its start without a save: the difference is what resuming takes.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import keras
import numpy as np

import bptt_keras as bk
from tests.benchmarks import figures

BATCHES = 10_000  # of the stream from whose end a training resumes


class Timed(bk.callbacks.Resume):
    """Saves every few batches, and notes times in milliseconds."""

    def __init__(self, folder, every):
        super().__init__(folder, every=every, print_fn=lambda text: None)
        self.within, self.after, self.beside, self.plain = [], [], [], []
        self._steps, self._left = self.plain, None

    def on_train_batch_end(self, batch, logs=None):
        """As in `Resume`, with a clock."""
        float(logs["loss"])  # waits for the step
        began = time.perf_counter()
        if self._left is not None:
            self._steps.append(1000 * (began - self._left))
        number, busy = self._number, self._writer.busy
        super().on_train_batch_end(batch, logs)
        ended = time.perf_counter()
        if self._number > number:
            self._steps = self.after
            self.within.append(1000 * (ended - began))
        else:
            self._steps = self.beside if busy else self.plain
        self._left = time.perf_counter()


def trainer_of(units):
    """A model of about 10 million weights with the default size."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((None, 256)),
            bk.layers.LSTM(units, return_sequences=True),
            keras.layers.Dense(16),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=8)
    trainer.compile("adam", "mse")
    return trainer


def stall(units, rounds):
    """Prints the stall of a step; returns what is published of it."""
    trainer = trainer_of(units)
    random = np.random.default_rng(0)
    x = random.normal(size=(4, 8, 256)).astype("float32")
    y = random.normal(size=(4, 8, 16)).astype("float32")
    every = 200
    batches = every * (rounds + 1) + every // 2
    with tempfile.TemporaryDirectory() as folder:
        timed = Timed(folder, every=every)
        trainer.fit(
            np.tile(x, (batches, 1, 1)),
            np.tile(y, (batches, 1, 1)),
            batch_size=4,
            shuffle=False,
            verbose=0,
            callbacks=[timed],
        )
        size = max(p.stat().st_size for p in Path(folder).glob("save-*"))
    plain = statistics.median(timed.plain[3:])
    within = statistics.median(timed.within[1:])
    extra = statistics.median(timed.after[1:]) - plain
    steps = len(timed.beside) / len(timed.after)
    slower = steps * (statistics.median(timed.beside) - plain)
    weights, share = trainer.count_params(), (within + extra + slower) / 60_000
    print(f"{weights:,} weights, a save of {size / 2**20:.0f} MiB")
    print(f"a step without a save takes {plain:.1f} ms")
    print(f"stall: {within:.1f} ms in the callback, {extra:.1f} ms in the next step")
    print(f"writing: {slower:.0f} ms more in the {steps:.0f} steps beside it")
    print(f"share: {share:.2%} at a save a minute")
    return {
        "weights_millions": weights / 1e6,
        "save_mib": size / 2**20,
        "step_ms": plain,
        "callback_ms": within,
        "next_ms": max(0.0, extra),
        "share_percent": max(0.0, 100 * share),
    }


def restore(folder, what):
    """Trains on a stream until shortly before its end, or one batch from there."""

    class Stop(keras.callbacks.Callback):
        def get_state(self):
            return None

        def set_state(self, state):
            pass

        def on_train_batch_end(self, batch, logs=None):
            if what != "stop":
                float(logs["loss"])  # waits for the step
                print(f"DONE {batch} {time.perf_counter() - began:.3f}", flush=True)
            if what != "stop" or batch == BATCHES:
                sys.exit()

    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((None, 1)),
            bk.layers.LSTM(4, return_sequences=True),
            keras.layers.Dense(1),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=4)
    trainer.compile("adam", "mse")
    x = np.random.default_rng(0).normal(size=(4 * 4 * (BATCHES + 100), 1))
    data = bk.data.streams(x.astype("float32"), batch_size=4, window=4)
    resume = bk.callbacks.Resume(folder, every=BATCHES // 4)
    began = time.perf_counter()
    trainer.fit(data, verbose=0, callbacks=[Stop(), resume])


def main():
    """Runs the measurements."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--units", type=int, default=1400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--restore", nargs=2, help=argparse.SUPPRESS)
    figures.add_options(parser, "resume")
    arguments = parser.parse_args()
    if arguments.restore:
        restore(*arguments.restore)
        return
    stalled = stall(arguments.units, arguments.rounds)
    with tempfile.TemporaryDirectory() as folder:
        _run(folder, "stop")
        found: dict[str, list[float]] = {"fresh": [], "go on": []}
        for _ in range(3):
            with tempfile.TemporaryDirectory() as empty:
                found["fresh"].append(_run(empty, "fresh")[1])
            batch, seconds = _run(folder, "go on")
            found["go on"].append(seconds)
    fresh, resumed = (statistics.median(times) for times in found.values())
    print(
        f"restore: batch {batch} trained {resumed:.2f} s after the start of `fit`, the "
        f"first one of a training without saves {fresh:.2f} s: {resumed - fresh:+.2f} s"
    )
    figures.publish(arguments, {**stalled, "restore_s": resumed - fresh})


def _run(folder, what):
    """Trains in a new process; the batch that it trained and the seconds it took."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.benchmarks.resume", "--restore", folder, what],
        capture_output=True,
        text=True,
        check=True,
    )
    lines = [x.split() for x in done.stdout.splitlines() if x.startswith("DONE")]
    return (int(lines[0][1]), float(lines[0][2])) if lines else (0, 0.0)


if __name__ == "__main__":
    main()
