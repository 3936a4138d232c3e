"""The compiled losses and their averages, one per output."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import tensorflow as tf

from bptt_keras.keras_internals import flat_losses
from bptt_keras.types import Structure


class OutputLoss(NamedTuple):
    """The loss of one output.

    Fields:
        output: Index of the output, in flat order.
        name: Its name, for messages.
        loss: `keras.losses.Loss`.
        factor: Its loss weight.
        metric: `keras.metrics.Mean` that reports it; `None` if it is the only loss.
    """

    output: int
    name: str
    loss: Any
    factor: Any
    metric: Any


def build_losses(
    compiled: Any, targets: Sequence[tf.TensorSpec | None], outputs: Structure
) -> list[OutputLoss]:
    """Builds Keras' compiled losses for the outputs of a model.

    Args:
        compiled: Keras' `CompileLoss`.
        targets: Flat list of `tf.TensorSpec`, `None` for an output without targets.
        outputs: Structure of `tf.TensorSpec` of the outputs.

    Returns:
        List of `OutputLoss`.

    Raises:
        ValueError: If a loss has no output or no targets.
    """
    flat = tf.nest.flatten(outputs)
    if not compiled.built:
        # Keras requires the same paths in both, even where no loss needs targets.
        given = [
            output if target is None else target
            for target, output in zip(targets, flat, strict=True)
        ]
        try:
            compiled.build(tf.nest.pack_sequence_as(outputs, given), outputs)
        except KeyError as error:
            raise ValueError(
                f"`loss` must name outputs of the model. {error.args[0]}"
            ) from error
    places = tf.nest.pack_sequence_as(outputs, list(range(len(flat))))
    found = flat_losses(compiled)
    metrics = compiled.metrics or [None] * len(found)
    losses = [
        OutputLoss(
            _at(path, places), name, loss, 1.0 if factor is None else factor, metric
        )
        for (path, loss, factor, name), metric in zip(found, metrics, strict=True)
    ]
    if not losses:
        raise ValueError(
            "There is nothing to minimise. Received: no loss for any output. Give "
            "`compile` a `loss`."
        )
    require_targets(losses, targets)
    return losses


def require_targets(losses: Sequence[OutputLoss], targets: Sequence[Any]) -> None:
    """Raises if an output has a loss but no targets.

    Args:
        losses: List of `OutputLoss`.
        targets: Flat list, `None` for an output without targets.

    Raises:
        ValueError: If so; names the output.
    """
    for own in losses:
        if targets[own.output] is None:
            raise ValueError(
                f"`y` must hold targets for each output that has a loss. Received: "
                f"none for the output {own.name!r}. Give them, or `None` for its loss."
            )


def outputs_with_loss(
    loss: Any, outputs: Structure, names: Sequence[str] | None
) -> list[int] | None:
    """Indices of the outputs that a user gave a loss, or `None`: all of them.

    Args:
        loss: The `loss` argument of `compile`.
        outputs: Structure of the outputs.
        names: Names of the outputs, flat, or `None`.
    """
    keys = sorted(outputs) if isinstance(outputs, dict) else names
    if isinstance(loss, dict) and keys is not None:
        return [i for i, key in enumerate(keys) if loss.get(key) is not None]
    if isinstance(loss, list | tuple) and len(loss) == len(tf.nest.flatten(outputs)):
        return [i for i, entry in enumerate(loss) if entry is not None]
    return None


def _at(path: Sequence[Any], tree: Structure) -> Any:
    for key in path:
        tree = tree[key]
    return tree
