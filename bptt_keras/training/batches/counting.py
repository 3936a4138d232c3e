"""What of a batch counts, and that all of it is finite."""

import tensorflow as tf

from bptt_keras.training.assertions import require


def only_what_counts(batch, sequence_output):
    """The batch with zeros wherever nothing counts, and checks of all the rest.

    Inputs count at valid timesteps, targets where they weigh anything besides. What
    does not count may hold NaN: without zeros there, 0 times NaN would spoil sums and
    gradients.

    Args:
        batch: A `Batch` from `spread_weights`, or one without targets.
        sequence_output: True if targets have a time axis.

    Returns:
        The `Batch`, with its field `counts`. Using it fails if inputs, targets or
        weights that count are not finite.
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


def _valid_inputs(batch):
    if batch.valid is None:
        return batch.inputs
    return [_where(batch.valid, tensor) for tensor in batch.inputs]


def _counts(batch, finite, sequence_output):
    """Where metrics without weights count, a tensor an output.

    A target that weighs nothing and is not finite is missing.
    """
    valid = batch.valid
    if valid is not None and not sequence_output:
        valid = tf.reduce_any(valid, axis=1)

    def known(target, there, weights):
        if target is None:
            return None
        every = [flags for flags in (valid, there) if flags is not None]
        all_true = tf.ones(tf.shape(weights), tf.bool)
        return tf.ensure_shape(tf.reduce_all([all_true, *every], 0), weights.shape)

    return list(map(known, batch.targets, finite, batch.weights))


def _rank(weights):
    return 0 if weights is None else weights[0].shape.rank


def _finite(tensor, rank=0):
    """Which numbers of its first axes are finite; `None` if all must be."""
    if tensor is None or not tensor.dtype.is_floating:
        return None
    return tf.reduce_all(tf.math.is_finite(tensor), range(rank, tensor.shape.rank))


def _where(keep, tensor):
    """The tensor with zeros where `keep`, of its first axes, is False."""
    if tensor is None:
        return None
    ones = [1] * (tensor.shape.rank - keep.shape.rank)
    keep = tf.reshape(keep, tf.concat([tf.shape(keep), ones], 0))
    return tf.where(keep, tensor, tf.zeros_like(tensor))


def _check(name, where, finite):
    known = [tf.reduce_all(flags) for flags in finite if flags is not None]
    if not known:
        return None
    return require(
        tf.reduce_all(known),
        f"`{name}` must be finite{where}. Received: NaN or infinity in {name}.",
    )
