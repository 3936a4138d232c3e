"""Noise on the state that one window passes to the next."""

from __future__ import annotations

import keras
import tensorflow as tf

from bptt_keras.arguments import real
from bptt_keras.types import State, Tensor


class Perturbation:
    """Disturbs the carried state in training, so that a model does not rely on it.

        s <- s * keep / (1 - dropout),    keep ~ Bernoulli(1 - dropout)
        s <- s + noise * n,               n ~ N(0, 1)

    for each unit of each state that a window passes on, once between two windows.
    Initial states and evaluation are not disturbed.

    Args:
        noise: Standard deviation of the noise, a number >= 0.
        dropout: Fraction of the units that is set to 0, at least 0 and below 1.

    Raises:
        TypeError: If an argument is not a number.
        ValueError: If an argument is out of range.
    """

    def __init__(self, noise: float, dropout: float):
        self.noise = real("state_noise", noise, least=0)
        self.dropout = real("state_dropout", dropout, least=0, below=1)
        self._seeds = keras.random.SeedGenerator()

    def __call__(self, state: State) -> State:
        """The state from which the next window starts."""
        if self.noise == 0 and self.dropout == 0:
            return state
        return tf.nest.map_structure(self._disturbed, state)

    def _disturbed(self, value: Tensor) -> Tensor:
        if not value.dtype.is_floating:
            return value
        if self.dropout:
            value = keras.random.dropout(value, self.dropout, seed=self._seeds)
        if self.noise:
            noise = keras.random.normal(
                tf.shape(value), stddev=self.noise, dtype=value.dtype, seed=self._seeds
            )
            value += tf.ensure_shape(noise, value.shape)
        return value
