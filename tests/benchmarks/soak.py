"""A long training on sequences of many lengths: memory, traces and speed.

python -m tests.benchmarks.soak [--updates 100000] [--jit auto] [--record]

Batches have 1 to 16 rows of 1 to 200 timesteps, as a user's own pipeline might make
them. Prints a line for each twentieth of the updates: the memory of the process in MiB,
updates a second, and how often TensorFlow has traced the training step; and at the end
how much memory and speed have changed since the first tenth, in which every size has
been seen.
"""

import argparse
import statistics
import time
from typing import NamedTuple

import keras
import numpy as np
import tensorflow as tf

import bptt_keras as bk
from tests.benchmarks import figures
from tests.benchmarks.machine import describe_machine

WINDOW, ROWS, STEPS, PARTS = 25, 16, 200, 20


class Part(NamedTuple):
    """A part of the training: its updates, and what was measured at its end."""

    updates: int
    megabytes: float
    per_second: float
    traces: int


def resident():
    """Resident memory of this process in MiB."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096 / 2**20


def batches(updates):
    """Batches with as many windows, of random sizes."""
    random = np.random.default_rng(0)
    left = updates
    while left > 0:
        rows, steps = random.integers(1, [ROWS + 1, STEPS + 1])
        x = random.normal(size=(rows, steps, 3)).astype("float32")
        yield x, x[..., :1]
        left -= -(-steps // WINDOW)


class Watch(keras.callbacks.Callback):
    """Measures part by part."""

    def __init__(self, updates, told=print):
        super().__init__()
        self.parts, self._told = [], told
        self._each = updates // PARTS

    def on_train_begin(self, logs=None):
        """Starts the clock."""
        self._began, self._done = time.perf_counter(), 0

    def on_train_batch_end(self, batch, logs=None):
        """Measures, if a part has ended."""
        done = int(self.model.optimizer.iterations)
        if done < (len(self.parts) + 1) * self._each:
            return
        now = time.perf_counter()
        speed = (done - self._done) / (now - self._began)
        part = Part(done, resident(), speed, traces(self.model))
        self.parts.append(part)
        self._began, self._done = now, done
        self._told(
            f"{part.updates:>7,} updates  {part.megabytes:6.0f} MiB  "
            f"{part.per_second:6.0f} updates/s  {part.traces} traces"
        )


def traces(trainer):
    """How often the training step has been traced, all kinds of batches together."""
    functions = trainer.train_function._traced.values()
    return sum(f.experimental_get_tracing_count() for f in functions)


def soak(updates, jit="auto", told=print):
    """Trains for so many updates; returns the `Part`s."""
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.layers.Input((None, 3)),
            bk.layers.GRU(8, return_sequences=True),
            keras.layers.Dense(1),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=WINDOW)
    trainer.compile("adam", "mse", jit_compile=jit)
    spec = [tf.TensorSpec((None, None, width), "float32") for width in (3, 1)]
    data = tf.data.Dataset.from_generator(
        lambda: batches(updates), output_signature=tuple(spec)
    )
    watch = Watch(updates, told)
    trainer.fit(data, verbose=0, callbacks=[watch])
    return watch.parts


def summary(parts):
    """`{"memory": MiB, "speed": ratio, "traces": number}` since the first tenth."""
    tenth = len(parts) // 10
    first, last = parts[tenth : 3 * tenth], parts[-2 * tenth :]
    return {
        "memory": parts[-1].megabytes - parts[tenth].megabytes,
        "speed": statistics.median(p.per_second for p in last)
        / statistics.median(p.per_second for p in first),
        "traces": parts[-1].traces,
    }


def main():
    """Trains and prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--updates", type=int, default=100_000)
    parser.add_argument("--jit", choices=["auto", "on", "off"], default="auto")
    figures.add_options(parser, "soak")
    options = parser.parse_args()
    jit = {"auto": "auto", "on": True, "off": False}[options.jit]
    print(describe_machine())
    found = summary(soak(options.updates, jit))
    print(
        f"since the first tenth: {found['memory']:+.0f} MiB, speed x "
        f"{found['speed']:.2f}; {found['traces']} traces"
    )
    memory = {"memory_mib": found.pop("memory")}
    figures.publish(options, {"updates": options.updates, **memory, **found})


if __name__ == "__main__":
    main()
