"""The last timesteps of a batch, which windows of the next batch reach back to."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from bptt_keras.training.assertions import require
from bptt_keras.training.batches.batch import Batch
from bptt_keras.types import Tensor


class KeptTimesteps:
    """Keeps the timesteps from the start of the next window to the end of a batch.

    Args:
        batch: A `Batch` like those that will come.
    """

    def __init__(self, batch: Batch):
        flags = tf.TensorSpec([None, None], tf.bool)
        inputs = tf.nest.map_structure(_spec, batch.inputs)
        self._specs = {"inputs": inputs, "reset": flags, "valid": flags}
        # Timesteps are counted separately, like the rows in `Carry`. The names are
        # those in snapshots.
        self.variables = {
            "parts": tf.nest.map_structure(_variable, self._specs),
            "steps": tf.Variable(0, trainable=False),
        }

    def nothing(self, rows: int) -> dict[str, Any]:
        """A snapshot of the variables that holds no timesteps."""
        empty = tf.nest.map_structure(
            lambda s: np.zeros([rows, 0, *s.shape[2:]], s.dtype.as_numpy_dtype),
            self._specs,
        )
        return {"parts": empty, "steps": np.int32(0)}

    def prepend(self, batch: Batch, same_rows: Tensor) -> tuple[Batch, Tensor]:
        """The batch with the kept timesteps before its own.

        Args:
            batch: `Batch` with reset flags `(batch, time)`.
            same_rows: Scalar boolean: whether its rows continue the kept ones.

        Returns:
            `(batch, lead)`: inputs and flags are longer by `lead`, a scalar tensor;
            targets and weights are unchanged.
        """

        def kept() -> dict[str, Any]:
            return tf.nest.map_structure(
                lambda v: v.read_value(), self.variables["parts"]
            )

        def nothing() -> dict[str, Any]:
            return tf.nest.map_structure(
                lambda s: tf.zeros([batch.rows, 0, *s.shape[2:]], s.dtype), self._specs
            )

        before = tf.cond(same_rows, kept, nothing)

        def join(first: Tensor, second: Tensor) -> Tensor:
            joined = tf.concat([tf.cast(first, second.dtype), second], axis=1)
            joined.set_shape([second.shape[0], None, *second.shape[2:]])
            return joined

        timed = {"inputs": batch.inputs, "reset": batch.reset}
        checks = []
        if batch.valid is not None:
            timed["valid"] = batch.valid
        else:
            checks = [
                require(
                    tf.reduce_all(before["valid"]),
                    "A batch that continues one with padding must say which of its own "
                    "timesteps are valid. Received: a batch without `mask` and "
                    "`lengths` after one with them. Give them, all valid.",
                )
            ]
        with tf.control_dependencies(checks):
            timed = {
                name: tf.nest.map_structure(join, before[name], own)
                for name, own in timed.items()
            }
        lead = tf.where(same_rows, self.variables["steps"].read_value(), 0)
        return batch._replace(**timed), lead

    def keep(self, batch: Batch, resume: int | Tensor) -> None:
        """Keeps the timesteps of a batch from `resume` on."""
        for variable, value in zip(
            tf.nest.flatten(self.variables["parts"]),
            tf.nest.flatten(self._timed(batch)),
            strict=True,
        ):
            variable.assign(tf.cast(value[:, resume:], variable.dtype))
        self.variables["steps"].assign(batch.length - resume)

    def _timed(self, batch: Batch) -> dict[str, Any]:
        """Everything with a time axis in a batch, except targets and weights."""
        grid = tf.shape(batch.inputs[0])[:2]
        return {
            "inputs": batch.inputs,
            "reset": batch.reset if batch.resets_inside else tf.fill(grid, False),
            "valid": tf.fill(grid, True) if batch.valid is None else batch.valid,
        }


def _spec(tensor: Tensor) -> tf.TensorSpec:
    return tf.TensorSpec([None, None, *tensor.shape[2:]], tensor.dtype)


def _variable(spec: tf.TensorSpec) -> tf.Variable:
    empty = tf.zeros([0, 0, *spec.shape[2:]], spec.dtype)
    return tf.Variable(empty, trainable=False, shape=spec.shape)
