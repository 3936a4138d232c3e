"""Which inputs of a model are cut along time, and how the others join them."""

from __future__ import annotations

from collections.abc import Sequence

import keras
import tensorflow as tf

from bptt_keras.state import timed_inputs
from bptt_keras.types import Structure, Tensor


class Inputs:
    """The structure of a model's inputs, with and without a time axis.

    Args:
        model: A `keras.Model`.
        inputs: Structure of tensors that it takes.
    """

    def __init__(self, model: keras.Model, inputs: Structure):
        self._structure = tf.nest.map_structure(lambda _: None, inputs)
        self._timed = tf.nest.flatten(timed_inputs(model, inputs))

    def split(self, inputs: Structure) -> tuple[list[Tensor], list[Tensor]]:
        """Two flat lists: the inputs that have a time axis, and the others."""
        pairs = list(zip(tf.nest.flatten(inputs), self._timed, strict=True))
        timed = [tensor for tensor, is_timed in pairs if is_timed]
        return timed, [tensor for tensor, is_timed in pairs if not is_timed]

    def join(self, timed: Sequence[Tensor], constant: Sequence[Tensor]) -> Structure:
        """The structure that the model takes, from the two lists of `split`."""
        sources = {True: iter(timed), False: iter(constant)}
        flat = [next(sources[bool(is_timed)]) for is_timed in self._timed]
        return tf.nest.pack_sequence_as(self._structure, flat)
