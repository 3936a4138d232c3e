"""What a loss is averaged over: valid timesteps, each with its weight."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from bptt_keras.keras_internals import mask_of
from bptt_keras.training.measures.losses import OutputLoss
from bptt_keras.types import Structure, Tensor


class Term(NamedTuple):
    """The loss of one output in one window.

    Fields:
        total: Sum of weight times loss over the valid `(row, step)` pairs, in the
            unit of the loss.
        weight: Sum of the weights of those pairs.
        labels_valid: Scalar boolean: whether all labels are classes of the model.
    """

    total: Tensor
    weight: Tensor
    labels_valid: Tensor

    @property
    def mean(self) -> Tensor:
        """`total / weight`; 0 where no step is valid."""
        return tf.math.divide_no_nan(self.total, self.weight)


def loss_terms(
    losses: Sequence[OutputLoss],
    targets: Sequence[Tensor | None],
    outputs: Structure,
    weights: Sequence[Tensor] | None,
    sequence_output: bool,
) -> list[Term]:
    """The loss of a window, output by output.

        total = sum(w * l),  weight = sum(w)

    over the `(row, step)` pairs of the window. `w` is the sample weight (1 if there
    is none), and 0 where the mask of the output or of the loss (`ignore_class`) says
    that the step is not valid. `l` is the loss of that pair, averaged over all other
    axes.

    Args:
        losses: List of `losses.OutputLoss`.
        targets: Flat list of targets `(batch, time, ...)`, one entry per output.
        outputs: The model's outputs.
        weights: `None`, or a list of `(batch, time)` tensors, one per output.
        sequence_output: False if outputs have no time axis; pairs are then rows.

    Returns:
        List of `Term`.

    Raises:
        ValueError: If a loss does not return one value per pair.
    """
    terms, outputs = [], tf.nest.flatten(outputs)
    for own in losses:
        index, loss = own.output, own.loss
        output = outputs[index]
        weight = None if weights is None else weights[index]
        target, labels_valid = _checked_labels(loss, targets[index], output, weight)
        values, mask = _values(loss, target, output)
        values = _by_timestep(values, output, loss, sequence_output)
        weight = tf.ones_like(values) if weight is None else weight
        weight = tf.cast(weight, values.dtype)
        if mask is not None:
            weight *= tf.cast(tf.broadcast_to(mask, tf.shape(values)), values.dtype)
        # A padded step may contain anything, even values that make its loss NaN.
        total = tf.reduce_sum(tf.math.multiply_no_nan(values, weight))
        terms.append(Term(total, tf.reduce_sum(weight), labels_valid))
    return terms


def weighted_means(losses: Sequence[OutputLoss], terms: Sequence[Term]) -> list[Tensor]:
    """The means of terms times their `loss_weights`; their sum is minimised.

    Args:
        losses: List of `losses.OutputLoss`.
        terms: List of `Term`, from `loss_terms`.

    Returns:
        List of scalar tensors, in the unit of the loss.
    """
    return [own.factor * term.mean for own, term in zip(losses, terms, strict=True)]


def check_reductions(loss: Any) -> None:
    """Raises if a loss asks for a reduction that windows cannot honour.

    Args:
        loss: The `loss` argument of `compile`.

    Raises:
        ValueError: For the reductions `"sum"` and `"none"`.
    """
    for leaf in keras.tree.flatten(loss):
        reduction = getattr(leaf, "reduction", "mean")
        if reduction in ("sum", "none", None):
            raise ValueError(
                f"A loss must be averaged over valid timesteps, so that windows of "
                f"any length weigh the same. Received: loss {leaf.name!r} with "
                f"reduction={reduction!r}. Leave `reduction` at its default."
            )


def _values(loss: Any, target: Tensor, output: Tensor) -> tuple[Tensor, Any]:
    """Unreduced loss and its mask, as `keras.losses.Loss.__call__` makes them."""
    masks = [mask_of(output)]
    target = tf.cast(target, loss.dtype)
    values = loss.call(target, tf.cast(output, loss.dtype))
    masks.append(mask_of(values))
    masks = [tf.cast(mask, tf.bool) for mask in masks if mask is not None]
    if not masks:
        return values, None
    return values, masks[0] if len(masks) == 1 else tf.logical_and(*masks)


def _by_timestep(
    values: Tensor, output: Tensor, loss: Any, sequence_output: bool
) -> Tensor:
    wanted = 2 if sequence_output else 1
    rank = values.shape.rank
    steps = values.shape[1] if sequence_output and rank and rank > 1 else None
    if rank is None or rank < wanted or steps not in (None, output.shape[1]):
        each = "(batch, time)" if sequence_output else "(batch,)"
        raise ValueError(
            f"A loss must give one value for each timestep, shape {each}. Received: "
            f"loss {loss.name!r} with values of shape {values.shape} for outputs of "
            f"shape {output.shape}. Average over the last axis only."
        )
    return tf.reduce_mean(values, axis=list(range(wanted, rank)))


def _checked_labels(
    loss: Any, target: Tensor, output: Tensor, weight: Tensor | None
) -> tuple[Tensor, Tensor]:
    """The labels, with 0 for those that are not classes, and whether all are classes.

    XLA would turn other labels into NaN; without XLA the loss would raise an error of
    its own.
    """
    function = getattr(loss, "fn", None)
    if function is not keras.losses.sparse_categorical_crossentropy:
        return target, tf.constant(True)
    if target.dtype.is_integer:
        target = tf.cast(target, tf.int64)  # As a uint8, 256 classes would be 0.
    classes = tf.cast(tf.shape(output)[-1], target.dtype)
    valid = (target >= 0) & (target < classes)
    ignored = loss.get_config().get("ignore_class")
    if ignored is not None:
        valid |= tf.equal(target, tf.cast(ignored, target.dtype))
    known = tf.where(valid, target, tf.zeros_like(target))
    if weight is not None:
        # A timestep with weight 0 may have any label.
        ones = [1] * (target.shape.rank - weight.shape.rank)
        shape = tf.concat([tf.shape(weight), ones], 0)
        valid |= tf.reshape(weight, shape) == 0
    return known, tf.reduce_all(valid)
