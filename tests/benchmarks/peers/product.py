"""The yardstick: the time of one big float32 matrix product on this machine.

A "window" is one product of two square matrices.
"""

import numpy as np

from tests.benchmarks.machine import describe_machine
from tests.benchmarks.peers.protocol import serve
from tests.benchmarks.shapes import PRODUCT_SIDE


def build(shape, library):
    """A function that multiplies; `library` is `"numpy"` or `"tensorflow"`."""
    size = (2, PRODUCT_SIDE, PRODUCT_SIDE)
    a, b = np.random.default_rng(0).normal(size=size).astype("float32")
    if library == "tensorflow":
        import tensorflow as tf

        a, b = tf.constant(a), tf.constant(b)

    def train(windows):
        for _ in range(windows):
            product = a @ b
        return float(product[0, 0])

    return train


if __name__ == "__main__":
    serve(build, {"machine": describe_machine()})
