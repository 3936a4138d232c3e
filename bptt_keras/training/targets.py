"""Targets and weights of a batch, fitted to the model's outputs."""

import keras
import tensorflow as tf


def fit_targets(batch, findings):
    """The batch with targets structured and ranked like the model's outputs.

    Args:
        batch: A `Batch` with targets, and perhaps weights.
        findings: `state.Findings` of the model.

    Returns:
        The `Batch`. Lists and tuples are interchangeable; targets `(batch, time)` of
        outputs `(batch, time, 1)` get their last axis.

    Raises:
        ValueError: If structure, length or width don't fit; names the shapes.
    """
    outputs = findings.outputs
    targets = _like_outputs(batch.targets, outputs)
    batch = batch._replace(targets=targets, weights=_like_weights(batch, outputs))
    _check_shapes(batch, outputs, findings.sequence_output)

    def rank_like(target, output):
        squeezed = target.shape.rank == output.shape.rank - 1
        return target[..., None] if squeezed and output.shape[-1] == 1 else target

    return batch._replace(
        targets=tf.nest.map_structure(rank_like, batch.targets, outputs)
    )


def _like_outputs(targets, outputs):
    """Targets packed as the outputs are: Keras' adapters turn lists into tuples."""
    flat, wanted = tf.nest.flatten(targets), tf.nest.flatten(outputs)
    both_keyed = isinstance(targets, dict) and isinstance(outputs, dict)
    either_keyed = isinstance(targets, dict) or isinstance(outputs, dict)
    same_keys = both_keyed and set(targets) == set(outputs)
    if len(flat) != len(wanted) or (either_keyed and not same_keys):
        raise ValueError(
            f"`y` must have the structure of the model's outputs. Received: y as "
            f"{_structure(targets)} beside outputs as {_structure(outputs)}."
        )
    return tf.nest.pack_sequence_as(outputs, flat)


def _like_weights(batch, outputs):
    several = tf.nest.is_nested(batch.weights)
    return _like_outputs(batch.weights, outputs) if several else batch.weights


def _check_shapes(batch, outputs, sequence_output):
    time = batch.inputs[0].shape[1]
    for target, output in zip(
        tf.nest.flatten(batch.targets), tf.nest.flatten(outputs), strict=True
    ):
        if target.shape.rank is None:
            continue
        steps = target.shape[1] if target.shape.rank > 1 else "no"
        if sequence_output and steps not in (time, None) and time is not None:
            raise ValueError(
                f"`y` must have one target for each of the {time} timesteps of `x`, "
                f"shape (batch, time, ...). Received: y with shape "
                f"{tuple(target.shape)}. For one target for the whole sequence give "
                f"the last recurrent layer `return_sequences=False`."
            )
        same_rank = target.shape.rank == len(output.shape)
        if same_rank and target.shape[-1] not in (output.shape[-1], 1, None):
            raise ValueError(
                f"`y` must fit the model's output, which has the shape "
                f"{tuple(output.shape)}. Received: y with shape "
                f"{tuple(target.shape)}."
            )
        if not sequence_output and target.shape.rank > len(output.shape):
            raise ValueError(
                f"The model answers once for the whole sequence, with shape "
                f"{tuple(output.shape)}. Received: y with shape "
                f"{tuple(target.shape)}. For one target for each timestep give the "
                f"last recurrent layer `return_sequences=True`."
            )


def spread_weights(batch, sequence_output):
    """The batch with weights by timestep: `(batch,)` becomes `(batch, time)`.

    Args:
        batch: A `Batch`; its weights are `(batch,)`, `(batch, 1)` or `(batch, time)`.
        sequence_output: False leaves one weight for each row, `(batch,)`.

    Returns:
        The `Batch`; steps that are not valid, and rows without any that is, weigh 0.

    Raises:
        ValueError: If the weights have another shape.
    """
    if batch.valid is None:
        valid = None
    else:
        valid = batch.valid if sequence_output else tf.reduce_any(batch.valid, axis=1)
        valid = tf.cast(valid, tf.float32)
    if batch.weights is None:
        return batch._replace(weights=valid)
    first = batch.inputs[0]
    grid = tf.shape(first)[:2]

    def spread(weights):
        weights = tf.cast(weights, tf.float32)
        rank = weights.shape.rank
        one_a_row = rank == 1 or (rank == 2 and weights.shape[1] == 1)
        one_a_step = rank == 2 and weights.shape[1] in (first.shape[1], None)
        if sequence_output and (one_a_row or one_a_step):
            weights = weights[:, None] if rank == 1 else weights
            weights = tf.broadcast_to(weights, grid)
            weights.set_shape(first.shape[:2])
            return weights if valid is None else weights * valid
        if not sequence_output and one_a_row:
            weights = tf.reshape(weights, [-1])
            return weights if valid is None else weights * valid
        allowed = "(batch,) or (batch, time)" if sequence_output else "(batch,)"
        raise ValueError(
            f"`sample_weight` must have the shape {allowed}. Received: sample_weight "
            f"with shape {tuple(weights.shape)} beside inputs with shape "
            f"{tuple(first.shape)}."
        )

    return batch._replace(weights=tf.nest.map_structure(spread, batch.weights))


def _structure(tree):
    return keras.tree.map_structure(lambda _: "tensor", tree)
