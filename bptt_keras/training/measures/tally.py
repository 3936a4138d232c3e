"""Adds the results of windows to the averages that Keras reports."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from bptt_keras.keras_internals import attach_mask, mask_of
from bptt_keras.training.assertions import run_if
from bptt_keras.training.measures.losses import OutputLoss
from bptt_keras.training.measures.metrics import Metrics
from bptt_keras.types import Structure, Tensor


class Tally:
    """Adds windows to the loss and the metrics of a compiled trainer.

    Args:
        losses: Losses of the outputs.
        metrics: Metrics of the outputs, or `None` where there are none.
        loss_tracker: Keras metric that averages the loss.
        outputs: Structure of `tf.TensorSpec` of the model's outputs.
        sequence_output: Whether they have a time axis.
        join_inputs: Function `(timed, constants)` from a window's inputs to the
            structure that the model takes.
        compute_metrics: The trainer's method of that name, as in Keras. It calls
            `show`, unless a subclass overrides it.

    Attributes:
        losses: As passed in.
        metrics: As passed in.
    """

    def __init__(
        self,
        losses: list[OutputLoss],
        metrics: Metrics | None,
        *,
        loss_tracker: Any,
        outputs: Structure,
        sequence_output: bool,
        join_inputs: Callable[[list[Tensor], list[Tensor]], Structure],
        compute_metrics: Callable[..., Any],
    ):
        self.losses = losses
        self.metrics = metrics
        self._loss_tracker = loss_tracker
        self._outputs = outputs
        self._sequence_output = sequence_output
        self._join_inputs = join_inputs
        self._compute_metrics = compute_metrics
        # Where the window that metrics are seeing at the moment counts.
        self._counted: list[Tensor] | None = None

    def add(self, window: Any, result: Any) -> None:
        """Adds a window.

        Args:
            window: `Batch` of one window.
            result: `WindowResult` of that window.
        """
        weight = tf.add_n([term.weight for term in result.terms])
        self._loss_tracker.update_state(result.loss, sample_weight=weight)
        for own, term in zip(self.losses, result.terms, strict=True):
            if own.metric is not None:
                own.metric.update_state(term.mean, sample_weight=term.weight)
        if self.metrics is not None:
            _if_counted(window, lambda: self._show_window(window, result))

    def _show_window(self, window: Any, result: Any) -> None:
        outputs = tf.nest.flatten(result.outputs)
        for output, mask in zip(outputs, result.masks, strict=True):
            if mask is not None:
                # A program returns bare tensors, so the mask is attached again.
                attach_mask(output, mask)
        self._counted = window.counts
        self._compute_metrics(
            self._join_inputs(window.inputs, window.constants),
            self._like_outputs(window.targets),
            result.outputs,
            self._like_outputs(window.weights),
        )

    def show(self, targets: Structure, outputs: Structure, weights: Structure) -> None:
        """Shows the timesteps of a window that count to the metrics.

        Args:
            targets: Targets at the new timesteps, structured like the outputs.
            outputs: The outputs there.
            weights: Weights of those timesteps, structured like the outputs, or
                `None`.
        """
        if self.metrics is None:
            return
        flat = tf.nest.flatten(outputs)
        masks = [mask_of(output) for output in flat]
        targets = tf.nest.flatten(targets)
        weights = None if weights is None else tf.nest.flatten(weights)
        arguments = targets, flat, masks, weights, self._counted
        self.metrics.update(*arguments)
        if not self._sequence_output:
            self.metrics.update(*arguments, whole=True)
        else:
            self.metrics.require_unmasked(masks)

    def show_whole(self, batch: Any, outputs: Structure) -> None:
        """Shows whole sequences to the metrics that look along time.

        Args:
            batch: `Batch`.
            outputs: The outputs at all its timesteps, or `None` if no metric looks
                along time.
        """
        if outputs is None or self.metrics is None:
            return
        flat, metrics = tf.nest.flatten(outputs), self.metrics

        def update() -> None:
            metrics.update(
                batch.targets,
                flat,
                [None for _ in flat],
                batch.weights,
                batch.counts,
                whole=True,
            )

        _if_counted(batch, update)

    def _like_outputs(self, flat: list[Tensor] | None) -> Structure:
        return None if flat is None else tf.nest.pack_sequence_as(self._outputs, flat)


def _if_counted(batch: Any, update: Callable[[], Any]) -> None:
    """Runs a function, unless the rows stand for none in one of several processes."""
    known = batch.share is None or tf.get_static_value(batch.share.counts)
    if known:
        update()
    else:
        run_if(batch.share.counts, update)
