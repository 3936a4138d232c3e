"""Time of dropout inside an XLA program: TensorFlow's draws against this library's.

python -m tests.benchmarks.dropout
"""

import tensorflow as tf

from bptt_keras.kernels.dropout import dropout
from tests.benchmarks.machine import describe_machine, report, take_turns

SHAPE = (64, 100, 256)


def main(rounds=9):
    """Prints a table."""

    @tf.function(jit_compile=True)
    def tensorflows(x, seed):
        return tf.nn.experimental.stateless_dropout(x, 0.5, seed)

    @tf.function(jit_compile=True)
    def ours(x, seed):
        return dropout(x, 0.5, seed)

    x, seed = tf.ones(SHAPE), tf.constant([1, 2], tf.int64)
    print(describe_machine())
    print(f"dropout of {SHAPE} floats, XLA, {rounds} rounds in turn")
    times = take_turns(
        {
            "TensorFlow's draws": lambda: tensorflows(x, seed).numpy(),
            "this library's": lambda: ours(x, seed).numpy(),
        },
        rounds,
    )
    report(times, "TensorFlow's draws")


if __name__ == "__main__":
    main()
