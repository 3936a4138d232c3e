"""Targets and weights of a batch, matched with the model's outputs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.state import ModelTraits
from bptt_keras.training.batches.batch import Batch
from bptt_keras.types import Structure, Tensor


def fit_targets(
    batch: Batch,
    traits: ModelTraits,
    names: Sequence[str] | None,
    partial: Sequence[int] | None,
) -> Batch:
    """The batch with flat lists of targets and of weights, one entry per output.

    Args:
        batch: A `Batch` with targets, and perhaps weights, as the user passed them.
        traits: `state.ModelTraits` of the model.
        names: Names of the outputs, flat, or `None` if they have none.
        partial: Indices of the outputs that have a loss, or `None` if all have one. If
            there are fewer targets than outputs, and without names, they belong to
            these.

    Returns:
        The `Batch`. `targets` has `None` for an output without targets; targets
        `(batch, time)` for outputs `(batch, time, 1)` have gained a last axis.
        `weights` is `None` or such a list.

    Raises:
        ValueError: If structure, length or width do not fit; names the shapes.
    """
    outputs = traits.outputs
    targets = _by_output("y", batch.targets, outputs, names, partial)
    weights = batch.weights
    if tf.nest.is_nested(weights):
        weights = _by_output("sample_weight", weights, outputs, names, partial)
    elif weights is not None:
        weights = [weights for _ in targets]
    batch = batch._replace(targets=targets, weights=weights)
    flat = tf.nest.flatten(outputs)
    _check_shapes(batch, flat, traits.sequence_output)
    return batch._replace(targets=list(map(_ranked_like, targets, flat)))


def _by_output(
    what: str,
    given: Structure,
    outputs: Structure,
    names: Sequence[str] | None,
    partial: Sequence[int] | None,
) -> list[Any]:
    """What the user passed, flat, one entry per output; `None` where there is none."""
    wanted = tf.nest.flatten(outputs)
    keys = _keys(given, outputs, names)
    if keys is not None:
        unknown = sorted(set(given) - set(keys))
        if not unknown:
            return [given.get(key) for key in keys]
    elif not (isinstance(given, dict) or isinstance(outputs, dict)):
        flat = tf.nest.flatten(given)
        if len(flat) == len(wanted):
            return flat
        if partial is not None and len(flat) == len(partial):
            entries = dict(zip(partial, flat, strict=True))
            return [entries.get(index) for index in range(len(wanted))]
    else:
        try:
            tf.nest.assert_same_structure(given, outputs, check_types=False)
            return tf.nest.flatten(given)
        except (TypeError, ValueError):
            pass
    known = f" with the names {list(names)}" if names and len(wanted) > 1 else ""
    raise ValueError(
        f"`{what}` must have the structure of the model's outputs. Received: {what} "
        f"as {_structure(given)} beside outputs as {_structure(outputs)}{known}."
    )


def _keys(
    given: Structure, outputs: Structure, names: Sequence[str] | None
) -> Sequence[str] | None:
    """The keys by which a dict names the outputs, in flat order, or `None`."""
    if not isinstance(given, dict):
        return None
    if isinstance(outputs, dict):
        deep = any(tf.nest.is_nested(output) for output in outputs.values())
        return None if deep else sorted(outputs)
    return names


def _ranked_like(target: Tensor | None, output: tf.TensorSpec) -> Tensor | None:
    if target is None:
        return None
    squeezed = target.shape.rank == output.shape.rank - 1
    return target[..., None] if squeezed and output.shape[-1] == 1 else target


def _check_shapes(
    batch: Batch, outputs: list[tf.TensorSpec], sequence_output: bool
) -> None:
    time = batch.inputs[0].shape[1]
    for target, output in zip(batch.targets, outputs, strict=True):
        if target is None or target.shape.rank is None:
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


def spread_weights(batch: Batch, sequence_output: bool) -> Batch:
    """The batch with weights per timestep: `(batch,)` becomes `(batch, time)`.

    Args:
        batch: A `Batch` from `fit_targets`; its weights are `(batch,)`, `(batch, 1)`
            or `(batch, time)`.
        sequence_output: False: one weight per row, `(batch,)`.

    Returns:
        The `Batch`; invalid timesteps, and rows without a valid one, have weight 0.

    Raises:
        ValueError: If the weights have a different shape.
    """
    if batch.valid is None:
        valid = None
    else:
        valid = batch.valid if sequence_output else tf.reduce_any(batch.valid, axis=1)
    if batch.weights is None and valid is None:
        return batch
    first = batch.inputs[0]
    grid = tf.shape(first)[: 2 if sequence_output else 1]

    def spread(weights: Tensor | None) -> Tensor:
        if weights is None:
            return tf.ones(grid) if valid is None else tf.cast(valid, tf.float32)
        weights = tf.cast(weights, tf.float32)
        rank = weights.shape.rank
        one_a_row = rank == 1 or (rank == 2 and weights.shape[1] == 1)
        one_a_step = rank == 2 and weights.shape[1] in (first.shape[1], None)
        if not (one_a_row or (sequence_output and one_a_step)):
            allowed = "(batch,) or (batch, time)" if sequence_output else "(batch,)"
            raise ValueError(
                f"`sample_weight` must have the shape {allowed}. Received: "
                f"sample_weight with shape {tuple(weights.shape)} beside inputs with "
                f"shape {tuple(first.shape)}."
            )
        if sequence_output:
            weights = weights[:, None] if rank == 1 else weights
            weights = tf.broadcast_to(weights, grid)
        else:
            weights = tf.reshape(weights, [-1])
        if valid is not None:
            # The weight of an invalid timestep may be NaN.
            weights = tf.where(valid, weights, tf.zeros_like(weights))
        weights.set_shape(first.shape[: len(weights.shape)])
        return weights

    given = batch.weights or [None] * len(batch.targets)
    return batch._replace(weights=[spread(weights) for weights in given])


def _structure(tree: Structure) -> Structure:
    return keras.tree.map_structure(lambda _: "tensor", tree)
