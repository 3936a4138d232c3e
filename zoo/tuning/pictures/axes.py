"""Axes of hyperparameters: numeric axes, and strips for choices."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.tuning.job import Job, Trial
from zoo.tuning.pictures.figures import short
from zoo.tuning.pictures.scale import Scale, is_power_of_two, log_ticks, scale_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def number_axis(axes: Axes, job: Job, name: str, values: list) -> None:
    """Sets range, scale and ticks of a horizontal numeric axis."""
    low, high, log, whole = range_of(job, name, values)
    if log:
        twos = whole and is_power_of_two(low) and is_power_of_two(high)
        axes.set_xscale("log")
        ticks = log_ticks(low, high, powers_of_two=twos)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.xaxis.minorticks_off()
        room = (high / low) ** 0.04
        axes.set_xlim(low / room, high * room)
    else:
        # matplotlib: put off.
        from matplotlib.ticker import MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(6, integer=whole))
        room = 0.04 * (high - low)
        axes.set_xlim(low - room, high + room)


def range_of(job: Job, name: str, values: list) -> tuple[float, float, bool, bool]:
    """Low, high, whether the axis is logarithmic, and whether all are integers."""
    entry = job.space.get(name, {})
    ends = [v for v in (entry.get("low"), entry.get("high")) if v is not None]
    every = [*ends, *values] or [0, 1]
    low, high = min(every), max(every)
    log = bool(entry.get("log")) and low > 0
    if low == high:
        low, high = (low / 2, high * 2) if log else (low - 1, high + 1)
    return low, high, log, all(isinstance(v, int) for v in every)


def strips(axes: Axes, job: Job, name: str) -> dict[str, float]:
    """Draws a strip for each choice, with its median; returns the trials' positions."""
    choices = [repr(choice) for choice in job.choices(name)]
    groups: dict[str, list[Trial]] = {choice: [] for choice in choices}
    for trial in job.trials:
        if name in trial.values:
            groups[repr(trial.values[name])].append(trial)
    scale, places = scale_of(job), {}
    for index, group in enumerate(groups.values()):
        for position, trial in enumerate(group):
            # Spread evenly whatever the number: multiples of the golden ratio.
            places[trial.name] = index + 0.44 * (position * 0.618034 % 1 - 0.5)
        known = [trial.reached for trial in group if trial.measured]
        middle = float(np.median(known)) if known else math.inf
        if scale.inside(middle):
            axes.hlines(
                *(middle, index - 0.32, index + 0.32),
                color="black",
                linewidth=1,
                label="median of a choice",
            )
    labels = [short(str(choice)) for choice in job.choices(name)]
    room = 2 * 38 / max(1, len(labels)) - 2  # characters for two neighbours
    turned = any(len(a) + len(b) > room for a, b in pairwise(labels))
    style: dict[str, Any] = {}
    if turned:
        style = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(labels)), labels, **style)
    axes.set_xlim(-0.6, max(1, len(labels)) - 0.4)
    return places


def round_marks(scale: Scale, whole: bool) -> list[float]:
    """Round numbers within a scale."""
    if scale.log:
        twos = whole and is_power_of_two(scale.low) and is_power_of_two(scale.high)
        return log_ticks(scale.low, scale.high, powers_of_two=twos)
    # matplotlib: put off.
    from matplotlib.ticker import MaxNLocator

    marks = MaxNLocator(5, integer=whole).tick_values(scale.low, scale.high)
    return [mark for mark in marks if scale.inside(mark)]
