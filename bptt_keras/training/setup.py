"""What is created and chosen at the first batch, when shapes are known."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import tensorflow as tf

from bptt_keras.training.batches.batch import Batch
from bptt_keras.training.batches.targets import fit_targets
from bptt_keras.training.building import ExaminedModel, output_names
from bptt_keras.training.measures.losses import (
    build_losses,
    outputs_with_loss,
    require_targets,
)
from bptt_keras.training.measures.metrics import Metrics
from bptt_keras.training.measures.tally import Tally
from bptt_keras.training.modes import Mode, ModeMaker
from bptt_keras.training.options import Compilation, Options
from bptt_keras.truncation.schedule import Schedule


@dataclass
class Setup:
    """What an engine has found out, created and chosen for a model.

    Attributes:
        model: The model, examined.
        options: The trainer's options.
        compilation: What the trainer was compiled with.
        tally: Losses and metrics, made at the first batch with targets.
        modes: `{"fit" | "evaluate" | "predict": Mode}`, each made at its first batch.
    """

    model: ExaminedModel
    options: Options
    compilation: Compilation
    tally: Tally | None = None
    modes: dict[str, Mode] = field(default_factory=dict)

    def renewed(self, options: Options, compilation: Compilation) -> Setup:
        """A setup of the same model, losses and metrics for other options.

        Args:
            options: The trainer's current options.
            compilation: Its current compilation; losses and metrics are kept.
        """
        return Setup(self.model, options, compilation, self.tally)

    def make_mode(
        self, name: str, batch: Batch, *, rows: int | None, live: Any
    ) -> Mode:
        """Makes a mode for batches like this one, but does not keep it.

        Args:
            name: `"fit"`, `"evaluate"` or `"predict"`.
            batch: `Batch`, with fitted targets unless it is for prediction.
            rows: Usual number of rows of a batch, or `None` if unknown.
            live: Records each update, or `None`.

        Raises:
            ValueError: If the trainer's options do not suit the model.
        """
        maker = ModeMaker(
            name,
            batch,
            model=self.model,
            tally=self.tally,
            options=self.options,
            compilation=self.compilation,
            live=live,
        )
        return maker.make(rows)

    def allow_one_program(self, mode: Mode, batch: Batch) -> None:
        """Decides whether many windows of such a batch may run as one program.

        What holds for one kind of data need not hold for another.

        Args:
            mode: The mode that runs the batch.
            batch: `Batch`.
        """
        metrics = None if self.tally is None else self.tally.metrics
        if mode.windows.in_one is not None:
            selects = metrics is not None and metrics.select_from(batch)
            mode.windows.in_one.serves = not selects

    def with_targets(
        self,
        batch: Batch,
        compute_metrics: Callable[..., Any],
        *,
        weighs_classes: bool = False,
    ) -> Batch:
        """The batch with targets and weights by output; builds the losses.

        Args:
            batch: `Batch` with targets as the user passed them.
            compute_metrics: See `Tally`.
            weighs_classes: Whether `class_weight` was passed.

        Raises:
            ValueError: If there is no loss, or targets or their weights do not fit the
                model's outputs.
        """
        if self.compilation.losses is None:
            raise ValueError(
                "There is nothing to minimise. Received: loss=None. Give `compile` a "
                "`loss`."
            )
        if weighs_classes and self.model.traits.sequence_output:
            raise ValueError(
                "`class_weight` weighs rows, but these targets have a time axis. Give "
                "`sample_weight` of shape (rows, time) instead."
            )
        traits, names = self.model.traits, output_names(self.model.step.model)
        partial = outputs_with_loss(self.compilation.loss, traits.outputs, names)
        batch = fit_targets(batch, traits, names, partial)
        with tf.init_scope():
            if self.tally is None:
                _warn_of_short_batches(batch, self.options.schedule)
                self.tally = self._make_tally(batch.targets, compute_metrics)
        require_targets(self.tally.losses, batch.targets)
        return batch

    def _make_tally(
        self, targets: list[Any], compute_metrics: Callable[..., Any]
    ) -> Tally:
        compilation, traits = self.compilation, self.model.traits
        specs = [
            None if target is None else tf.TensorSpec(target.shape, target.dtype)
            for target in targets
        ]
        losses = build_losses(compilation.losses, specs, traits.outputs)
        metrics = None
        if compilation.metrics is not None:
            metrics = Metrics(
                compilation.metrics, specs, traits.outputs, traits.sequence_output
            )
        optimizer = compilation.optimizer
        if optimizer is not None and not optimizer.built:
            optimizer.build(self.model.step.model.trainable_variables)
        return Tally(
            losses,
            metrics,
            loss_tracker=compilation.loss_tracker,
            outputs=traits.outputs,
            sequence_output=traits.sequence_output,
            join_inputs=self.model.inputs.join,
            compute_metrics=compute_metrics,
        )


def _warn_of_short_batches(batch: Batch, schedule: Schedule) -> None:
    """Warns if a stream's batches are shorter than a window, which cannot span two."""
    window, length = schedule.window, batch.known_length
    if batch.position is None or window is None or schedule.lead:
        return
    if (length or window) < window:
        warnings.warn(
            f"The batches of this stream have {length} timesteps, so gradients never "
            f"reach the {window} of the trainer's `window`. Make both the same.",
            stacklevel=2,
        )
