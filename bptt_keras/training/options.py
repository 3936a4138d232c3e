"""The arguments of `TruncatedBPTT` and of its `compile`, checked."""

from __future__ import annotations

import warnings
import weakref
from dataclasses import dataclass
from typing import Any

import keras

from bptt_keras.arguments import whole
from bptt_keras.process_group import ProcessGroup
from bptt_keras.training.programs.shards import check_shards
from bptt_keras.training.windows.perturbation import Perturbation
from bptt_keras.training.windows.updates import check_update
from bptt_keras.truncation.schedule import Schedule
from bptt_keras.truncation.serialization import (
    as_recomputation,
    as_schedule,
    check_recomputation,
)

ARGUMENTS = (
    "window",
    "stride",
    "update",
    "burn_in",
    "recompute",
    "state_noise",
    "state_dropout",
    "shards",
    "live_metrics",
    "skip_nonfinite",
)


@dataclass(frozen=True, kw_only=True)
class Options:
    """Arguments of `TruncatedBPTT`, described there, and what is made from them.

    Attributes:
        window: As passed in.
        stride: As passed in.
        update: As passed in.
        burn_in: As an integer.
        recompute: As passed in.
        state_noise: As a float.
        state_dropout: As a float.
        shards: As passed in.
        live_metrics: As passed in.
        skip_nonfinite: As passed in.
        schedule: Schedule of windows, from `window` and `stride`.
        recomputation: `truncation.Segments`, `truncation.Revolve` or `None`.
        perturbation: Noise and dropout of the state between two windows.
    """

    window: Any
    stride: int | None
    update: str | int
    burn_in: int
    recompute: Any
    state_noise: float
    state_dropout: float
    shards: str | int
    live_metrics: bool
    skip_nonfinite: bool
    schedule: Schedule
    recomputation: Any
    perturbation: Perturbation

    def arguments(self) -> dict[str, Any]:
        """`{name: value}` of the constructor's arguments."""
        return {name: getattr(self, name) for name in ARGUMENTS}


@dataclass(frozen=True, kw_only=True)
class Compilation:
    """Arguments of `compile`, and what Keras makes from them.

    Attributes:
        jit_compile: True, False or `"auto"`.
        run_eagerly: Whether everything runs eagerly, without graphs.
        loss: The argument `loss`.
        optimizer: Keras optimizer, guarded if it would apply updates that are not
            finite and should not; or `None` before `compile`.
        losses: Keras' `CompileLoss`, or `None` if there is no loss.
        metrics: Keras' `CompileMetrics`, or `None` if there are no metrics.
        loss_tracker: Metric that averages the loss, or `None` before `compile`.
        group: The processes that train together, or `None`.
    """

    jit_compile: bool | str
    run_eagerly: bool
    loss: Any
    optimizer: keras.optimizers.Optimizer | None
    losses: Any
    metrics: Any
    loss_tracker: keras.metrics.Mean | None
    group: ProcessGroup | None = None


def checked_options(
    *,
    window: Any,
    stride: int | None,
    update: str | int,
    burn_in: int,
    recompute: Any,
    state_noise: float,
    state_dropout: float,
    shards: str | int,
    live_metrics: bool,
    skip_nonfinite: bool,
) -> Options:
    """Makes options from the arguments of `TruncatedBPTT`, described there.

    Raises:
        TypeError: If an argument has the wrong type.
        ValueError: If one is out of range, or two contradict each other.
    """
    schedule = as_schedule(window, stride)
    recomputation = as_recomputation(recompute)
    check_recomputation(recomputation, schedule)
    check_update(update)
    check_shards(shards)
    for name, value in (
        ("live_metrics", live_metrics),
        ("skip_nonfinite", skip_nonfinite),
    ):
        if not isinstance(value, bool):
            raise TypeError(
                f"`{name}` must be True or False. Received: {name}={value!r}."
            )
    perturbation = Perturbation(state_noise, state_dropout)
    return Options(
        window=window,
        stride=stride,
        update=update,
        burn_in=whole("burn_in", burn_in, least=0),
        recompute=recompute,
        state_noise=perturbation.noise,
        state_dropout=perturbation.dropout,
        shards=shards,
        live_metrics=live_metrics,
        skip_nonfinite=skip_nonfinite,
        schedule=schedule,
        recomputation=recomputation,
        perturbation=perturbation,
    )


def check_jit_compile(jit_compile: bool | str, run_eagerly: bool) -> None:
    """Raises if `jit_compile` is unknown, or contradicts `run_eagerly`.

    Args:
        jit_compile: As for `compile`.
        run_eagerly: As for `compile`.

    Raises:
        ValueError: If it is or does.
    """
    if jit_compile not in (True, False, "auto"):
        raise ValueError(
            f"`jit_compile` must be True, False or 'auto'. Received: "
            f"jit_compile={jit_compile!r}."
        )
    if jit_compile is True and run_eagerly:
        raise ValueError(
            "`run_eagerly=True` runs without a graph, so nothing can be compiled. "
            "Received: jit_compile=True. Leave one of them out."
        )


# Schedules that draw windows, by identity, and the trainer of each.
_DRAWN_FOR: dict[int, tuple[weakref.ref, weakref.ref]] = {}


def warn_if_shared(schedule: Schedule, trainer: Any) -> None:
    """Warns if a schedule draws the windows of another trainer, too."""
    if not schedule.random:
        return
    for key in [key for key, (of, _) in _DRAWN_FOR.items() if of() is None]:
        del _DRAWN_FOR[key]
    other = _DRAWN_FOR[id(schedule)][1]() if id(schedule) in _DRAWN_FOR else None
    if other is not None and other is not trainer:
        warnings.warn(
            f"This `window`, a {type(schedule).__name__}, already draws the windows of "
            f"another trainer and goes on for both, so what one draws depends on the "
            f"other. Give each a schedule of its own.",
            stacklevel=2,
        )
    _DRAWN_FOR[id(schedule)] = weakref.ref(schedule), weakref.ref(trainer)
