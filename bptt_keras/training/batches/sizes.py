"""Checks that everything in a batch has the same rows and timesteps."""

from __future__ import annotations

import tensorflow as tf

from bptt_keras.training.assertions import require
from bptt_keras.training.batches.batch import Batch


def require_same_sizes(batch: Batch, sequence_output: bool) -> Batch:
    """The batch, with checks in the graph for sizes that are unknown while tracing.

    Args:
        batch: A `Batch` from `fit_targets`, or one without targets.
        sequence_output: Whether targets have a time axis.

    Returns:
        The same batch; using it fails if targets, weights or flags differ from the
        inputs in their number of rows or timesteps.
    """
    first = batch.inputs[0]
    parts = {
        "reset": (batch.reset, True),
        "y": (batch.targets, sequence_output),
        "sample_weight": (batch.weights, sequence_output),
    }
    found = []
    for name, (part, may_have_time) in parts.items():
        for tensor in tf.nest.flatten(part):
            if tensor is None:
                continue
            one_a_row = tensor.shape.rank == 1 or (
                name == "sample_weight" and tensor.shape[1] == 1
            )
            timed = may_have_time and not one_a_row
            axes = 2 if timed else 1
            known = tensor.shape[:axes].as_list() + first.shape[:axes].as_list()
            if None in known:
                same = tf.equal(tf.shape(tensor)[:axes], tf.shape(first)[:axes])
                message = (
                    f"`{name}` must have the rows{' and timesteps' * timed} of `x`. "
                    f"Received: another number."
                )
                found.append(require(tf.reduce_all(same), message))
    if not found:
        return batch
    with tf.control_dependencies(found):
        # Inputs too: what is derived from the batch takes its sizes from them.
        return batch._replace(
            inputs=tf.nest.map_structure(tf.identity, batch.inputs),
            **{
                name: tf.nest.map_structure(
                    lambda t: None if t is None else tf.identity(t), part
                )
                for name, part in batch._asdict().items()
                if name in ("targets", "weights", "reset")
            },
        )
