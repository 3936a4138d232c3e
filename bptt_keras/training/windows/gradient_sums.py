"""Gradients of several windows, summed until an update is due."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bptt_keras.training.programs.window import Programs
from bptt_keras.types import Tensor


class GradientSums:
    """Weighted sums of gradients, in variables.

    Args:
        programs: The trainer's `Programs` for training.
    """

    def __init__(self, programs: Programs):
        def zeros(shape: Any = (), dtype: tf.DType = tf.float32) -> tf.Variable:
            return tf.Variable(tf.zeros(shape, dtype), trainable=False)

        # Gradients of half precision are summed in single precision.
        dtypes = [
            tf.float64 if tf.as_dtype(v.dtype) == tf.float64 else tf.float32
            for v in programs.variables
        ]
        of_weights = tf.float64 if tf.float64 in dtypes else tf.float32
        groups = len(programs.losses) + 1 if programs.apart else 1
        with tf.init_scope():
            self._sums = [
                [
                    zeros(v.shape, dtype)
                    for v, dtype in zip(programs.variables, dtypes, strict=True)
                ]
                for _ in range(groups)
            ]
            self._weights = [zeros((), of_weights) for _ in range(groups)]
            self._rate, self._windows = zeros(), zeros()
        self._present: list[bool] = []
        self._add = programs.compiled(_add_weighted)

    @property
    def windows(self) -> Tensor:
        """Number of windows that have been summed."""
        return self._windows.read_value()

    @property
    def mean_rate(self) -> Tensor:
        """Mean of their learning rate factors."""
        return self._rate / self._windows

    def add(
        self,
        groups: list[Any],
        weights: list[Tensor],
        *,
        counts: Tensor,
        rate: Tensor,
    ) -> None:
        """Adds the gradients of a window.

        Args:
            groups: Lists of gradients. If outputs are averaged separately: one list
                per output and one for the losses that the model adds; else one list.
            weights: The weight of each list.
            counts: Scalar boolean: whether the window has any weight.
            rate: Factor of the learning rate.
        """
        # Known while tracing: variables that no loss depends on have no gradient.
        self._present = [
            any(g is not None for g in of_variable)
            for of_variable in zip(*groups, strict=True)
        ]
        for sums, group, of_group, weight in zip(
            self._sums, groups, self._weights, weights, strict=True
        ):
            summed = self._add([s.read_value() for s in sums], group, weight)
            for variable, value in zip(sums, summed, strict=True):
                variable.assign(value)
            of_group.assign_add(tf.cast(weight, of_group.dtype))
        valid = tf.cast(counts, tf.float32)
        self._rate.assign_add(valid * rate)
        self._windows.assign_add(valid)

    def mean(self, exchange: Any = None) -> list[Tensor | None]:
        """The sum over groups of their weighted means, variable by variable.

        Args:
            exchange: `Exchange` over the processes, if there are several.
        """
        if exchange is not None:
            sums = [[s.read_value() for s in group] for group in self._sums]
            weights = [weight.read_value() for weight in self._weights]
            return exchange.sums(sums, weights, self._present)
        return [
            tf.add_n(
                [
                    tf.math.divide_no_nan(
                        sums[index].read_value(), tf.cast(weight, sums[index].dtype)
                    )
                    for sums, weight in zip(self._sums, self._weights, strict=True)
                ]
            )
            if present
            else None
            for index, present in enumerate(self._present)
        ]

    @property
    def variables(self) -> list[tf.Variable]:
        """The sums of gradients and their weights."""
        return [*sum(self._sums, []), *self._weights]

    def clear(self) -> None:
        """Discards all sums."""
        for variable in [*self.variables, self._rate, self._windows]:
            variable.assign(tf.zeros_like(variable))


def _add_weighted(
    sums: list[Tensor], gradients: list[Tensor | None], weight: Tensor
) -> list[Tensor]:
    # A gradient with weight 0 may be NaN.
    return [
        s
        if g is None
        else tf.where(weight > 0, s + tf.cast(weight, s.dtype) * tf.cast(g, s.dtype), s)
        for s, g in zip(sums, gradients, strict=True)
    ]
