"""What a user's data must fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import keras
import tensorflow as tf

from bptt_keras.types import Structure


@dataclass(frozen=True)
class Expected:
    """A model, and the options of its trainer that concern data.

    Attributes:
        model: The inner model.
        output_names: Names of its outputs, flat, or `None` if they have none.
        outputs: Structure of `tf.TensorSpec` of its outputs, or `None` before the first
            batch.
        sequence_output: Whether its outputs have a time axis; `None` before the first
            batch.
        window: Timesteps of an evaluation window, or `None`: all of a batch.
        burn_in: Timesteps at the start of a batch that have no loss.
    """

    model: keras.Model
    output_names: Sequence[str] | None
    outputs: Structure
    sequence_output: bool | None
    window: int | None
    burn_in: int

    @property
    def number_of_inputs(self) -> int:
        """Number of arrays that the model takes; 1 if it does not declare them."""
        return max(len(getattr(self.model, "inputs", None) or []), 1)

    @property
    def number_of_outputs(self) -> int:
        """Number of arrays that the model returns; 1 if unknown."""
        if self.sequence_output is not None:
            return len(tf.nest.flatten(self.outputs))
        return max(len(getattr(self.model, "outputs", None) or []), 1)

    @property
    def answers_at_each_step(self) -> bool | None:
        """Whether outputs have a time axis, or `None` if not known yet."""
        if self.sequence_output is not None:
            return self.sequence_output
        outputs = getattr(self.model, "outputs", None)
        if not outputs:
            return None
        return all(len(t.shape) > 1 and t.shape[1] is None for t in outputs)
