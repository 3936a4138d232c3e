"""The rows of a batch that one of several processes trains on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import tensorflow as tf

from bptt_keras.process_group import DIGITS, ProcessGroup, Share
from bptt_keras.types import Tensor

if TYPE_CHECKING:
    from bptt_keras.training.batches.batch import Batch

_BITS = 4  # each digit


def shared(batch: Batch, group: ProcessGroup) -> Batch:
    """The rows of a batch that belong to this process, one at least.

    Process `i` of `n` has the rows from `rows * i // n` up to `rows * (i + 1) // n`.

    Args:
        batch: `Batch` of all rows, the same in every process.
        group: The processes.
    """
    rows = batch.inputs[0].shape[0]
    known = rows is not None
    rows = rows if known else batch.rows
    start, stop = group.part_of(rows)
    counts: Any = stop > start
    if known:
        start, stop = group.held_part_of(rows)
    else:
        start, stop = tf.minimum(start, rows - 1), tf.maximum(stop, start + 1)
    share = Share(
        tf.convert_to_tensor(rows), tf.convert_to_tensor(counts), _digits(batch)
    )
    return batch.take_rows(start, stop)._replace(share=share)


def _digits(batch: Batch) -> Tensor:
    """A digest of what the batch holds, and in which rows."""
    held = [batch.inputs, list(batch.constants), batch.targets, batch.weights]
    found = tf.constant(0, tf.int32)
    for tensor in tf.nest.flatten(held):
        if tensor is None:
            continue
        rows = tf.shape(tensor)[0]
        flat = tf.reshape(_as_integers(tensor), [rows, -1])
        # Overflow is what makes it a digest.
        of_row = tf.reduce_sum(flat * _odd(tf.shape(flat)[1])[None], 1)
        found = found * 31 + tf.reduce_sum(of_row * _odd(rows))
    shifts = _BITS * tf.range(DIGITS)
    digits = tf.bitwise.right_shift(tf.fill([DIGITS], found), shifts)
    return tf.cast(tf.bitwise.bitwise_and(digits, 2**_BITS - 1), tf.float32)


def _odd(count: Tensor) -> Tensor:
    return 2 * tf.range(count) * 1_000_003 + 1


def _as_integers(tensor: Tensor) -> Tensor:
    if tensor.dtype.is_floating:
        return tf.bitcast(tf.cast(tensor, tf.float32), tf.int32)
    return tf.cast(tensor, tf.int32)
