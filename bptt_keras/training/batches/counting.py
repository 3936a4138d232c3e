"""Which numbers of a batch count, and whether all of these are finite."""

from __future__ import annotations

from collections.abc import Iterable

import tensorflow as tf

from bptt_keras.training.assertions import require
from bptt_keras.training.batches.batch import Batch
from bptt_keras.types import Tensor


def only_what_counts(batch: Batch, sequence_output: bool) -> Batch:
    """The batch with zeros where nothing counts, and with checks of everything else.

    Inputs count at valid timesteps; targets count there if their weight is not 0. What
    does not count may be NaN: without zeros there, 0 times NaN would spoil sums and
    gradients.

    Args:
        batch: A `Batch` from `spread_weights`, or one without targets.
        sequence_output: Whether targets have a time axis.

    Returns:
        The `Batch`, with its field `counts`. Using it fails in the graph if inputs,
        targets or weights that count are not finite.
    """
    inputs, constants = _valid_inputs(batch), list(batch.constants)
    targets, counts = batch.targets, None
    found = [_check("x", "", [_finite(tensor) for tensor in [*inputs, *constants]])]
    if targets is not None:
        weights = batch.weights or [None] * len(targets)
        finite = [_finite(target, _rank(batch.weights)) for target in targets]
        if batch.weights is not None:
            counts = _counts(batch, finite, sequence_output)
            targets = list(map(_where, counts, targets))
            found.append(
                _check("sample_weight", " at valid timesteps", map(_finite, weights))
            )
        needed = [
            there if there is None or weight is None else there | (weight == 0)
            for there, weight in zip(finite, weights, strict=True)
        ]
        where = "" if batch.weights is None else " wherever it counts"
        found.append(_check("y", where, needed))
    with tf.control_dependencies([check for check in found if check is not None]):
        return batch._replace(
            inputs=[tf.identity(tensor) for tensor in inputs],
            constants=[tf.identity(tensor) for tensor in constants],
            targets=targets,
            counts=counts,
        )


def _valid_inputs(batch: Batch) -> list[Tensor]:
    if batch.valid is None:
        return batch.inputs
    return [_where(batch.valid, tensor) for tensor in batch.inputs]


def _counts(
    batch: Batch, finite: list[Tensor | None], sequence_output: bool
) -> list[Tensor | None]:
    """Where metrics without weights count, one tensor per output.

    A target with weight 0 that is not finite is missing.
    """
    valid = batch.valid
    if valid is not None and not sequence_output:
        valid = tf.reduce_any(valid, axis=1)

    def known(
        target: Tensor | None, there: Tensor | None, weights: Tensor
    ) -> Tensor | None:
        if target is None:
            return None
        every = [flags for flags in (valid, there) if flags is not None]
        all_true = tf.ones(tf.shape(weights), tf.bool)
        return tf.ensure_shape(tf.reduce_all([all_true, *every], 0), weights.shape)

    return list(map(known, batch.targets, finite, batch.weights))


def _rank(weights: list[Tensor] | None) -> int:
    return 0 if weights is None else weights[0].shape.rank


def _finite(tensor: Tensor | None, rank: int = 0) -> Tensor | None:
    """Where, along its first `rank` axes, a tensor is finite; `None`: everywhere."""
    if tensor is None or not tensor.dtype.is_floating:
        return None
    return tf.reduce_all(tf.math.is_finite(tensor), range(rank, tensor.shape.rank))


def _where(keep: Tensor, tensor: Tensor | None) -> Tensor | None:
    """The tensor, with zeros where `keep`, along its first axes, is False."""
    if tensor is None:
        return None
    ones = [1] * (tensor.shape.rank - keep.shape.rank)
    keep = tf.reshape(keep, tf.concat([tf.shape(keep), ones], 0))
    return tf.where(keep, tensor, tf.zeros_like(tensor))


def _check(
    name: str, where: str, finite: Iterable[Tensor | None]
) -> tf.Operation | None:
    known = [tf.reduce_all(flags) for flags in finite if flags is not None]
    if not known:
        return None
    return require(
        tf.reduce_all(known),
        f"`{name}` must be finite{where}. Received: NaN or infinity in {name}.",
    )
