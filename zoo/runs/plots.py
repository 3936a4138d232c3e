"""Plots of a training run."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

from zoo.system.figures import (
    BLUE,
    GREY,
    ORANGE,
    finish,
    never_fails,
    one_axes,
    shown,
    whole_numbers,
)
from zoo.tasks.task import Metric

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Arrows beside the names of baselines that lie outside the plot.
ABOVE, BELOW = "\N{UPWARDS ARROW}", "\N{DOWNWARDS ARROW}"


@never_fails
def plot_metric(
    path: str | os.PathLike,
    history: dict,
    metric: Metric,
    lines: dict[str, float],
    title: str,
    *,
    best: int | None = None,
) -> None:
    """Plots a task's metric by epoch, in training and validation, with baselines.

    The curves determine the range of the plot: baselines far from them are only named
    at its border.

    Args:
        path: A PNG file, replaced if it exists.
        history: Lists by name: `epoch`, and the metric's log with and without `val_`.
        metric: The task's `Metric`.
        lines: Baselines by name, in the metric's unit.
        title: Title of the plot.
        best: Epoch to mark; None: the best by validation, the latest of equal ones.
    """
    figure, axes = one_axes(title)
    curves = {
        part: [
            math.nan if value is None else metric.factor * value
            for value in history[f"{prefix}{metric.log}"]
        ]
        for part, prefix in (("training", ""), ("validation", "val_"))
    }
    for (part, values), style, color in zip(
        curves.items(), ("o-", "s-"), (BLUE, ORANGE), strict=True
    ):
        axes.plot(
            history["epoch"], values, style, color=color, markersize=4, label=part
        )
    _mark_best(axes, history["epoch"], curves["validation"], metric, best)
    unit = f" ({metric.unit})" if metric.unit else ""
    axes.set_xlabel("epoch")
    axes.set_ylabel(shown(f"{metric.name}{unit}"), parse_math=False)
    whole_numbers(axes)
    _levels(axes, lines, [v for part in curves.values() for v in part])
    finish(figure, axes, path)


def _mark_best(
    axes: Axes,
    epochs: Sequence[int],
    values: Sequence[float],
    metric: Metric,
    best: int | None,
) -> None:
    """Draws a ring around the best validation value."""
    if best is None:
        before = math.nan
        for epoch, value in zip(epochs, values, strict=True):
            # The first value that is a number, or one that is not worse.
            if not math.isnan(value) and not metric.better(before, value):
                best, before = epoch, value
    if best is not None and best in epochs:
        axes.plot(
            [best],
            [values[epochs.index(best)]],
            "o",
            markersize=11,
            markerfacecolor="none",
            markeredgecolor=ORANGE,
            markeredgewidth=1.5,
            label=f"best: epoch {best}",
        )


def _levels(axes: Axes, lines: dict[str, float], values: list[float]) -> None:
    """Draws baselines near the values as lines, and names all at the right border."""
    values = [value for value in values if math.isfinite(value)] or [0.0]
    low, high = min(values), max(values)
    reach = 0.35 * (high - low) or 0.1 * abs(high) or 1.0
    near = [v for v in lines.values() if low - reach <= v <= high + reach]
    low, high = min([low, *near]), max([high, *near])
    margin = 0.06 * (high - low) or reach
    low, high = low - margin, high + margin
    axes.set_ylim(low, high)
    named = []
    for name, level in sorted(lines.items(), key=lambda item: item[1]):
        if math.isnan(level):
            continue
        text, place = f"{name} {level:.3g}", (level - low) / (high - low)
        if 0 <= place <= 1:
            axes.axhline(level, color=GREY, linestyle="--", linewidth=1)
        else:
            text = f"{text} {ABOVE if place > 1 else BELOW}"
        named.append((text, min(max(place, 0.0), 1.0)))
    for (text, _), place in zip(named, _apart([p for _, p in named]), strict=True):
        axes.annotate(
            shown(text),
            (1.01, place),
            xycoords="axes fraction",
            va="center",
            color=GREY,
            fontsize=9,
            annotation_clip=False,
            parse_math=False,
        )


def _apart(places: list[float], gap: float = 0.05) -> list[float]:
    """Moves ascending positions in [0, 1] so that texts there do not overlap."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap) if moved else place)
    ceiling = 1.0
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], ceiling)
        ceiling = moved[i] - gap
    return moved


@never_fails
def plot_grad_norm(
    path: str | os.PathLike, norms: list[float], clip: float | None, title: str
) -> None:
    """Plots the gradient norm by batch, with the clipping threshold as a line.

    Args:
        path: A PNG file, replaced if it exists.
        norms: Global norm before clipping, one per batch.
        clip: The threshold; None if nothing is clipped.
        title: Title of the plot.
    """
    figure, axes = one_axes(title)
    axes.plot(range(1, len(norms) + 1), norms, color=BLUE, linewidth=0.7)
    if clip is not None:
        _level(axes, clip, f"clipped above {clip:g}")
    axes.set(xlabel="batch", ylabel="global gradient norm before clipping")
    axes.set_yscale("log")
    finish(figure, axes, path)


def _level(axes: Axes, level: float, text: str) -> None:
    axes.axhline(level, color=GREY, linestyle="--", linewidth=1)
    axes.annotate(
        shown(text),
        (1.0, level),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 3),
        textcoords="offset points",
        ha="right",
        color=GREY,
        fontsize=9,
        parse_math=False,
    )
