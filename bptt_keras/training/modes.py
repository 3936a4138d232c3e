"""How training, evaluation and prediction each run, chosen at the first batch."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from bptt_keras.process_group import ProcessGroup
from bptt_keras.state.examining.dry_run import SEVERAL_MEANS
from bptt_keras.training.batches.batch import Batch
from bptt_keras.training.building import ExaminedModel
from bptt_keras.training.measures.live import Live
from bptt_keras.training.measures.tally import Tally
from bptt_keras.training.options import Compilation, Options
from bptt_keras.training.programs.allocator import keep_freed_memory
from bptt_keras.training.programs.padding import Sizes
from bptt_keras.training.programs.shards import (
    choose_shards,
    fills_cores,
    is_small,
)
from bptt_keras.training.programs.window import Programs
from bptt_keras.training.programs.xla import why_batch_refused, why_window_refused
from bptt_keras.training.windows.carry import Carry
from bptt_keras.training.windows.evaluation import Evaluation, Prediction
from bptt_keras.training.windows.learning import Learning
from bptt_keras.training.windows.updates import Updates
from bptt_keras.types import Structure

NAMES = ("fit", "evaluate", "predict")


class Call(NamedTuple):
    """What is known in advance about the data of `fit`, `evaluate` or `predict`.

    Fields:
        rows: Numbers of rows of the batches, the usual one first; empty if only the
            batches themselves will show it.
        weighs_classes: Whether `class_weight` was passed.
    """

    rows: tuple[int, ...] = ()
    weighs_classes: bool = False


class Mode(NamedTuple):
    """What training, evaluation and prediction each have separately.

    Fields:
        programs: The compiled functions, with XLA or without.
        windows: `Learning`, `Evaluation` or `Prediction`: runs the windows of a batch.
        carry: The state between two batches.
        why_one_shard: `None`, or why the rows of a batch are not split.
        refusal: `None`, or why XLA does not compile the programs.
        keeps_memory: Whether memory that a window frees is kept for the next one.
    """

    programs: Programs
    windows: Any
    carry: Carry
    why_one_shard: str | None
    refusal: str | None
    keeps_memory: bool


class ModeMaker:
    """Makes a mode: chooses whether XLA compiles it, and with how many shards.

    Args:
        name: `"fit"`, `"evaluate"` or `"predict"`.
        batch: `Batch` like those that will come.
        model: The model, examined.
        tally: Losses and metrics that windows are added to; `None` if there are none.
        options: The trainer's options.
        compilation: What the trainer was compiled with.
        live: Records each update, or `None`.
    """

    def __init__(
        self,
        name: str,
        batch: Batch,
        *,
        model: ExaminedModel,
        tally: Tally | None,
        options: Options,
        compilation: Compilation,
        live: Live | None,
    ):
        self._name = name
        self._batch = batch
        self._model = model
        self._traits = model.traits
        self._tally = tally
        self._metrics = None if tally is None else tally.metrics
        self._options = options
        self._compilation = compilation
        self._live = live
        self._trains = name == "fit"
        # Each process predicts by itself.
        self._group = None if name == "predict" else self._compilation.group
        self._size = options.schedule.evaluation_window

    def make(self, rows: int | None) -> Mode:
        """The mode.

        Args:
            rows: Usual number of rows of a batch, or `None` if unknown.

        Raises:
            ValueError: If the trainer's options do not suit the model.
        """
        keeps_memory = keep_freed_memory()
        if self._trains:
            check_options(self._options, self._model)
        if self._group is not None:
            check_group(self._options, self._model, self._group)
        jit_compile = self._compilation.jit_compile
        xla = jit_compile in (True, "auto") and not self._compilation.run_eagerly
        fills = fills_cores(self._model.step.layers.values(), xla=xla)
        shards, reason = choose_shards(self._options.shards, self._traits, fills=fills)
        refusal, made = None, None
        if xla and self._suits_one_program(rows, fills):
            made = self._in_one_program()
        if made is not None:
            if self._options.shards == "auto":
                reason = reason or "a timestep is little work"
        else:
            made = self._made(xla=xla, shards=shards)
            if xla and jit_compile == "auto":
                refusal = why_window_refused(
                    made[0], self._model.step, self._batch, self._size, self._name
                )
            if refusal is not None:
                made = self._made(xla=False, shards=shards)
        return Mode(*made, self._carry(), reason, refusal, keeps_memory)

    def _suits_one_program(self, rows: int | None, fills: bool) -> bool:
        """Whether one program for many windows is expected to be faster."""
        step, rows = self._model.step, self._batch.inputs[0].shape[0] or rows
        # Without a state, nothing would depend on the checks.
        serves = self._traits.sequence_output and bool(step.layers)
        wanted = self._options.shards in ("auto", 1)
        # XLA has no sums over processes on a CPU.
        serves = serves and self._group is None
        return serves and wanted and (fills or is_small(step.model, rows, self._name))

    def _in_one_program(self) -> tuple[Programs, Any] | None:
        """Programs that run many windows at a time, or `None` if XLA cannot.

        Metrics that have to leave out timesteps cannot be part of such a program.
        """
        length, metrics = self._batch.known_length, self._metrics
        made = self._made(xla=True, shards=1)
        in_one = made[1].in_one
        if in_one is None:
            return None
        if length is not None and self._name != "predict":
            length = max(length - self._options.burn_in, 0)
        steps = in_one.steps(length)
        if metrics is not None:
            metrics.selected = False
        if not steps or why_batch_refused(in_one, self._model.step, self._batch, steps):
            return None
        if metrics is not None and metrics.selected:
            return None
        in_one.on = True
        return made

    def _made(self, *, xla: bool, shards: int) -> tuple[Programs, Any]:
        """The programs, and the object that runs windows with them."""
        size, traits, tally = self._size, self._traits, self._tally
        schedule = self._options.schedule
        programs = Programs(
            self._model.step,
            self._model.inputs,
            traits,
            None if tally is None else tally.losses,
            self._compilation.optimizer,
            needs_outputs=self._metrics is not None,
            apart=self._trains and self._keeps_gradients_apart(),
            xla=xla,
            eagerly=self._compilation.run_eagerly,
            shards=shards,
            sizes=Sizes(
                size,
                # Only training has windows of random length.
                schedule.longest if self._trains else size,
                on=xla and traits.why_padding_counts is None,
            ),
            group=self._group,
        )
        if tally is None or self._name == "predict":
            return programs, Prediction(programs, size, traits.outputs)
        if self._name == "evaluate":
            return programs, Evaluation(programs, size, tally.add, self._collected())
        learning = Learning(
            programs,
            schedule,
            self._options.recomputation,
            Updates(programs, self._options.update, self._live),
            perturb=self._options.perturbation,
            count=tally.add,
            collected=self._collected(),
        )
        return programs, learning

    def _collected(self) -> Structure:
        """Specification of the outputs if a metric needs those of whole batches."""
        whole = [] if self._metrics is None else self._metrics.whole
        if not whole or not self._traits.sequence_output:
            return None
        schedule = self._options.schedule
        if self._trains and (schedule.random or schedule.lead):
            raise ValueError(
                f"Metrics that look along time need whole sequences, and windows that "
                f"overlap or have random lengths have their outputs in pieces. "
                f"Received: {whole}. Write them for single timesteps, or give them to "
                f"a trainer that evaluates."
            )
        return self._traits.outputs

    def _keeps_gradients_apart(self) -> bool:
        """Whether each output needs a separate gradient, averaged over windows."""
        several = len(tf.nest.flatten(self._traits.outputs)) > 1
        at_once = self._options.update == "window" and self._group is None
        return several and not at_once

    def _carry(self) -> Carry:
        options = self._options
        overlaps = self._traits.sequence_output and not options.burn_in
        reaches_back = self._trains and overlaps and options.schedule.lead > 0
        return Carry(self._model.step, self._batch, reaches_back=reaches_back)


def check_options(options: Options, model: ExaminedModel) -> None:
    """Raises if a trainer's options do not suit its model.

    Args:
        options: The trainer's options.
        model: Its model, examined.

    Raises:
        ValueError: Names the option.
    """
    schedule, traits = options.schedule, model.traits
    if not traits.sequence_output and schedule.lead:
        raise ValueError(
            f"With one loss at the end of a sequence there is one window a sequence. "
            f"Received: stride={schedule.stride}. Leave `stride` out."
        )
    stepwise = schedule.stepwise
    if not stepwise and options.recomputation is None:
        return
    option = f"window={type(schedule).__name__}" if stepwise else "recompute"
    several = len(tf.nest.flatten(traits.outputs)) > 1
    if several and options.update != "window":
        raise ValueError(
            f"`{option}` averages several outputs together, but over several windows "
            f"each has an average of its own. Received: update={options.update!r}. "
            f"Use `update='window'`."
        )
    if traits.why_not_in_parts:
        raise ValueError(
            f"`{option}` runs a window in parts, and this model's result would depend "
            f"on them: {traits.why_not_in_parts}."
        )


def check_group(options: Options, model: ExaminedModel, group: ProcessGroup) -> None:
    """Raises if a model cannot be trained by several processes.

    Args:
        options: The trainer's options.
        model: Its model, examined.
        group: The processes.

    Raises:
        ValueError: Says why.
    """
    schedule, traits = options.schedule, model.traits
    reason = None
    if traits.why_rows_depend not in (None, SEVERAL_MEANS):
        reason = (
            f"each sees its own rows, and rows depend on one another: "
            f"{traits.why_rows_depend}"
        )
    elif schedule.observes:
        reason = f"`{type(schedule).__name__}` measures gradients of single rows"
    elif options.perturbation.noise or options.perturbation.dropout:
        reason = "`state_noise` and `state_dropout` would draw the same for each"
    elif len(tf.nest.flatten(traits.outputs)) > 1 and (
        schedule.stepwise or options.recomputation is not None
    ):
        reason = (
            "several outputs are averaged separately, which recomputation in parts "
            "cannot do"
        )
    if reason is not None:
        raise ValueError(
            f"{group.count} processes cannot train this together: {reason}. Train in "
            f"one process."
        )
