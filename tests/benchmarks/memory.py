"""Peak memory of a training step over the length of the sequence.

python -m tests.benchmarks.memory

Each length is trained in a process of its own: one batch of 16 rows through LSTM(128)
with windows of 100. The table gives the peak of the whole process, and the same less
the bytes of inputs and targets.
"""

import json
import subprocess
import sys

ROWS, UNITS, WINDOW, FEATURES = 16, 128, 100, 4


def peak_memory(length, timeout=900):
    """Peak memory in MiB of a process that trains one batch of `length` timesteps.

    Returns:
        `(peak, data)`: of the whole process, and of its inputs and targets.
    """
    command = [sys.executable, "-m", "tests.benchmarks.memory", str(length)]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=timeout, check=True
    )
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def _train(length):
    import resource

    import keras
    import numpy as np
    import tensorflow as tf

    import bptt_keras as bk

    model = keras.Sequential(
        [
            keras.Input((None, FEATURES)),
            bk.layers.LSTM(UNITS, return_sequences=True),
            keras.layers.Dense(1),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=WINDOW)
    trainer.compile(keras.optimizers.Adam(1e-3, global_clipnorm=1.0), "mse")
    x = np.random.default_rng(0).normal(size=(ROWS, length, FEATURES))
    x = x.astype("float32")
    y = x[..., :1].copy()
    data = tf.data.Dataset.from_tensors((x, y))
    trainer.fit(data, verbose=0)
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    # The arrays, the dataset's copy and the batch on its way through the step.
    print(json.dumps([peak, 3 * (x.nbytes + y.nbytes) / 2**20]))


def main():
    """Prints the table."""
    from tests.benchmarks.machine import describe_machine

    print(describe_machine())
    print(f"{'timesteps':>10}{'peak MiB':>10}{'less data':>11}")
    for length in (1_000, 10_000, 100_000):
        peak, data = peak_memory(length)
        print(f"{length:10,}{peak:10.0f}{peak - data:11.0f}")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        _train(int(sys.argv[1]))
    else:
        main()
