"""The products of a step with the weights: one for W and U together, or one each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import tensorflow as tf

from bptt_keras.kernels.fused.equations import Slopes
from bptt_keras.kernels.fused.feature_major import cut, join, product, spread, wide
from bptt_keras.types import Tensor

Places = tuple[Tensor, ...]
"""Vectors that a loop carries, for `join` to write to."""

Sums = Callable[[Tensor, Tensor, Places], tuple[tuple[Tensor, ...], Places]]
"""`(x, h_prev, places) -> (sums, places)`: the arguments of a step, as vectors."""


class Products(Protocol):
    """The products of a step with W and U."""

    def added(self, p: Tensor, m: Tensor) -> tuple[Tensor, ...]:
        """The arguments of a step, from products of rows; m is without its bias."""

    def forward(self, batch: Tensor, dtype: tf.DType) -> tuple[Sums, Places]:
        """The function that a step calls, and the first places."""

    def places(self, batch: Tensor, dtype: tf.DType) -> Places:
        """The first places of the backward pass."""

    def backward(
        self, slopes: Slopes, places: Places
    ) -> tuple[Tensor, tuple[Tensor, ...], Places]:
        """Passes a step's gradients through the products.

        Returns:
            `(d_h_prev, outputs, places)`: outputs are vectors that are kept for each
            step.
        """

    def widths(self) -> tuple[int, ...]:
        """Numbers of features of the outputs of `backward`."""

    def collect(
        self, outputs: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...]]:
        """Gradients of x, p, m and the biases (not summed), from all steps' outputs."""


class Joined:
    """One product, if p and m are only added: `[W U]^T [x_t h_{t-1}]^T + b`.

    Args:
        kernel: `(features, width)`, W.
        recurrent_kernel: `(units, width)`, U.
        biases: `(b,)`, of shape `(width,)`.
    """

    def __init__(self, kernel: Tensor, recurrent_kernel: Tensor, biases: tuple[Tensor]):
        self._weights = tf.concat([kernel, recurrent_kernel], axis=0)
        (self._bias,) = biases
        self._features, self._width = kernel.shape
        self._units = recurrent_kernel.shape[0]

    def added(self, p: Tensor, m: Tensor) -> tuple[Tensor, ...]:
        return (p + m,)

    def forward(self, batch: Tensor, dtype: tf.DType) -> tuple[Sums, Places]:
        weights = tf.transpose(self._weights)
        bias = wide(spread(self._bias, batch))

        def sums(
            x: Tensor, h_prev: Tensor, places: Places
        ) -> tuple[tuple[Tensor, ...], Places]:
            place = join([x, h_prev], places[0])
            return (wide(product(weights, place)) + bias,), (place,)

        return sums, (tf.zeros([weights.shape[1] * batch], dtype),)

    def places(self, batch: Tensor, dtype: tf.DType) -> Places:
        one_gate = self._width == self._units
        return () if one_gate else (tf.zeros([self._width * batch], dtype),)

    def backward(
        self, slopes: Slopes, places: Places
    ) -> tuple[Tensor, tuple[Tensor, ...], Places]:
        if places:
            d_z = join(slopes.sums, places[0])
            places = (d_z,)
        else:
            (d_z,) = slopes.sums
        d_x, d_h_prev = cut(product(self._weights, d_z), self._features, self._units)
        return d_h_prev, (d_z, d_x), places

    def widths(self) -> tuple[int, ...]:
        return self._width, self._features

    def collect(
        self, outputs: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...]]:
        d_z, d_x = outputs
        return d_x, d_z, d_z, (d_z,)


class Apart:
    """A product for p and one for m, if the last gate does not only add them.

    Args:
        kernel: `(features, width)`, W.
        recurrent_kernel: `(units, width)`, U.
        biases: `(b, b_r)`, each `(width,)`.
    """

    def __init__(
        self, kernel: Tensor, recurrent_kernel: Tensor, biases: tuple[Tensor, Tensor]
    ):
        self._of_inputs, self._of_state = kernel, recurrent_kernel
        self._biases = biases
        self._features, self._width = kernel.shape
        self._units = recurrent_kernel.shape[0]

    def added(self, p: Tensor, m: Tensor) -> tuple[Tensor, ...]:
        return p, m + wide(self._biases[1])

    def forward(self, batch: Tensor, dtype: tf.DType) -> tuple[Sums, Places]:
        of_inputs, of_state = map(tf.transpose, (self._of_inputs, self._of_state))
        b, b_r = (wide(spread(bias, batch)) for bias in self._biases)

        def sums(
            x: Tensor, h_prev: Tensor, places: Places
        ) -> tuple[tuple[Tensor, ...], Places]:
            p = wide(product(of_inputs, x)) + b
            return (p, wide(product(of_state, h_prev)) + b_r), places

        return sums, ()

    def places(self, batch: Tensor, dtype: tf.DType) -> Places:
        return (tf.zeros([self._width * batch], dtype),) * 2

    def backward(
        self, slopes: Slopes, places: Places
    ) -> tuple[Tensor, tuple[Tensor, ...], Places]:
        d_p = join([*slopes.sums, *slopes.p], places[0])
        d_m = join([*slopes.sums, *slopes.m], places[1])
        d_x = product(self._of_inputs, d_p)
        # Of m, only the gradients that differ from those of p.
        return product(self._of_state, d_m), (d_p, *slopes.m, d_x), (d_p, d_m)

    def widths(self) -> tuple[int, ...]:
        return self._width, self._units, self._features

    def collect(
        self, outputs: tuple[Tensor, ...]
    ) -> tuple[Tensor, Tensor, Tensor, tuple[Tensor, ...]]:
        d_p, d_last, d_x = outputs
        d_m = tf.concat([d_p[: self._width - self._units], d_last], axis=0)
        return d_x, d_p, d_m, (d_p, d_m)
