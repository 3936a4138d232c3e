"""Peak memory of a training step by the length of the sequence.

python -m tests.benchmarks.memory

Each length is trained and evaluated in its own process: one batch of 4 rows of one
feature through LSTM(256) with windows of 100. The peak is that of the whole process,
including the data; backpropagation through all 100,000 timesteps would keep 3 GB of
states and gates.
"""

import subprocess
import sys

ROWS, UNITS, WINDOW = 4, 256, 100


def peak_memory(length, timeout=900):
    """Peak memory in MiB of a process that trains one batch of `length` timesteps."""
    command = [sys.executable, "-m", "tests.benchmarks.memory", str(length)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=True
    )
    return float(done.stdout.splitlines()[-1])


def _train(length):
    import resource

    import keras
    import numpy as np
    import tensorflow as tf

    import bptt_keras as bk

    model = keras.Sequential(
        [
            keras.Input((None, 1)),
            bk.layers.LSTM(UNITS, return_sequences=True),
            keras.layers.Dense(1),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=WINDOW)
    trainer.compile(keras.optimizers.Adam(1e-3, global_clipnorm=1.0), "mse")
    x = np.random.default_rng(0).normal(size=(ROWS, length, 1)).astype("float32")
    data = tf.data.Dataset.from_tensors((x, x))
    trainer.fit(data, verbose=0)
    trainer.evaluate(data, verbose=0)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)


def main():
    """Prints the table."""
    from tests.benchmarks.machine import describe_machine

    print(describe_machine())
    print(f"{'timesteps':>10}{'peak MiB':>10}")
    for length in (1_000, 10_000, 100_000):
        print(f"{length:10,}{peak_memory(length):10.0f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _train(int(sys.argv[1]))
    else:
        main()
