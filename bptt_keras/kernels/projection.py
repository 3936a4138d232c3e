"""The product that precedes a scan, with an efficient gradient of its weights."""

from __future__ import annotations

import tensorflow as tf

from bptt_keras.kernels.derivatives import only_once
from bptt_keras.types import Tensor

# Up to this many rows, the kernel's gradient is a sum of one product per row.
_ROWS_APART = 16


def project(inputs: Tensor, kernel: Tensor, bias: Tensor | None = None) -> Tensor:
    """`inputs @ kernel + bias` for all steps at once.

    Its backward pass is custom. The gradient of the kernel is a sum over all rows and
    steps. For few rows with many steps it is one product per row, in parallel, which
    XLA distributes better over the cores of a CPU than one product with a long sum. The
    gradient of the bias is a product with ones, because XLA needs several passes for a
    sum along the first axes.

    Args:
        inputs: `(batch, time, features)` floats.
        kernel: `(features, width)`, of the same dtype.
        bias: `(width,)`, of the same dtype, or None.

    Returns:
        `(batch, time, width)`.

    Example:

        from bptt_keras.kernels.projection import project

        x_proj = project(tf.ones((1, 3, 2)), tf.ones((2, 4)), tf.ones((4,)))
        assert x_proj.shape == (1, 3, 4) and float(x_proj[0, 0, 0]) == 3.0
    """
    # With a variable, the gradient function would need a second signature.
    inputs, kernel = (tf.convert_to_tensor(x) for x in (inputs, kernel))
    biases = () if bias is None else (tf.convert_to_tensor(bias),)

    @tf.custom_gradient
    def product(inputs, kernel, *biases):
        outputs = tf.tensordot(inputs, kernel, 1)
        for bias in biases:
            outputs += bias

        def gradient(d_outputs):
            d_inputs = tf.tensordot(d_outputs, kernel, [[2], [1]])
            d_kernel = _kernel_gradient(inputs, d_outputs)
            flat = tf.reshape(d_outputs, (-1, kernel.shape[-1]))
            d_biases = [_column_sums(flat) for _ in biases]
            return only_once((d_inputs, d_kernel, *d_biases), (inputs, kernel, *biases))

        return outputs, gradient

    return product(inputs, kernel, *biases)


def _kernel_gradient(inputs: Tensor, d_outputs: Tensor) -> Tensor:
    rows = inputs.shape[0]
    if rows is not None and rows <= _ROWS_APART:
        return tf.reduce_sum(tf.matmul(inputs, d_outputs, transpose_a=True), axis=0)
    inputs, d_outputs = (tf.reshape(x, (-1, x.shape[-1])) for x in (inputs, d_outputs))
    return tf.matmul(inputs, d_outputs, transpose_a=True)


def _column_sums(matrix: Tensor) -> Tensor:
    ones = tf.ones((1, tf.shape(matrix)[0]), matrix.dtype)
    return tf.matmul(ones, matrix)[0]
