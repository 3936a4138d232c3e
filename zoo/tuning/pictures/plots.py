"""Plots of a tuning job, each as a figure and as a PNG file."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.system.figures import BLUE, GREY, ORANGE, figure_of, whole_numbers
from zoo.tuning.job import ELIGIBLE, Job
from zoo.tuning.pictures.axes import number_axis, strips
from zoo.tuning.pictures.figures import label_of, legend, save
from zoo.tuning.pictures.importance import FEWEST, importance
from zoo.tuning.pictures.parallel import parallel
from zoo.tuning.pictures.view import View

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COLUMNS = 3  # panels in a row


def plot_against(
    path: str | os.PathLike, job: Job, names: Sequence[str] | None = None
) -> None:
    """Plots the objective against each hyperparameter, side by side.

    Args:
        path: A PNG file, replaced if it exists.
        job: The job.
        names: Hyperparameters to show; None: all.

    Raises:
        ValueError: If the job has no hyperparameter with one of the names.
    """
    save(against(job, names), job, path)


def plot_parallel(path: str | os.PathLike, job: Job) -> None:
    """Plots each trial as a line through its hyperparameters to its objective.

    Args:
        path: A PNG file, replaced if it exists.
        job: The job.
    """
    save(parallel(job), job, path)


def plot_importance(path: str | os.PathLike, job: Job) -> None:
    """Plots how much the objective depends on each hyperparameter.

    Args:
        path: A PNG file, replaced if it exists.
        job: The job. With fewer than 8 trials that have a result, the plot says so.

    Raises:
        ZooError: If scikit-learn is not installed.
    """
    save(importances(job), job, path)


def plot_progress(path: str | os.PathLike, job: Job) -> None:
    """Plots the objective of each trial and the best so far, in order of their start.

    Args:
        path: A PNG file, replaced if it exists.
        job: The job.
    """
    save(progress(job), job, path)


def against(job: Job, names: Sequence[str] | None = None) -> Figure:
    """The figure of `plot_against`."""
    names = list(job.names if names is None else names)
    unknown = [name for name in names if name not in job.names]
    if unknown:
        raise ValueError(
            f"`names` must be of the job's hyperparameters: {', '.join(job.names)}. "
            f"Received: {', '.join(unknown)}"
        )
    columns = max(1, min(len(names), COLUMNS))
    rows = max(1, -(-len(names) // columns))
    figure = figure_of(max(6.0, 3.6 * columns), 2.9 * rows + 0.8)
    every = list(figure.subplots(rows, columns, squeeze=False).flat)
    view = View(job)
    for axes, name in zip(every, names, strict=False):
        having = [t for t in job.trials if t.values.get(name) is not None]
        if job.numeric(name):
            places = {t.name: t.values[name] for t in having}
            number_axis(axes, job, name, list(places.values()))
        else:
            places = strips(axes, job, name)
        view.draw(axes, places)
        few = f" ({len(places)} of {len(job.trials)} trials)"
        axes.set_xlabel(name + (few if len(places) < len(job.trials) else ""))
    for index, axes in enumerate(every):
        if index >= len(names):
            axes.remove()
        elif index % columns:
            axes.tick_params(labelleft=False)
    figure.supylabel(label_of(job), fontsize=10)
    legend(figure, every[: len(names)])
    return figure


def importances(job: Job) -> Figure:
    """The figure of `plot_importance`."""
    found = importance(job)
    measured = found.bars
    few = measured is None
    figure = figure_of(8, 1.0 if few else 0.38 * len(job.names) + 1.4)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    if measured is None:
        words = (
            f"{found.trials} trial{'' if found.trials == 1 else 's'} with a result, "
            f"of {FEWEST} that are needed"
        )
        axes.text(0, 0.5, words, va="center", color=GREY)
        axes.set_axis_off()
        return figure
    bars = sorted(measured.items(), key=lambda item: item[1][0])
    labels = [name for name, _ in bars]
    means, spreads = np.array([pair for _, pair in bars]).T
    style: dict[str, Any] = {"ecolor": GREY, "capsize": 2, "error_kw": {"linewidth": 1}}
    axes.barh(labels, means, xerr=spreads, color=BLUE, height=0.65, **style)
    axes.axvline(0, color="#444444", linewidth=0.8)
    axes.grid(axis="x", alpha=0.25)
    axes.set_axisbelow(True)
    axes.set_xlim(right=max(0.05, 1.05 * max(means + spreads)))
    if found.explained > 0:
        learned = f"explains {found.explained:.0%} of the variance of their ranks"
    else:
        learned = "has learned nothing of their ranks: the bars say little"
    axes.set_xlabel(
        "growth of a forest's error when the values are shuffled, and its standard "
        f"error\n({found.trials} trials; the forest {learned})",
        fontsize=9,
    )
    return figure


def progress(job: Job) -> Figure:
    """The figure of `plot_progress`."""
    figure = figure_of(8, 4.5)
    axes = figure.subplots()
    names = [trial.name for trial in job.trials]
    whole = all(name.isdecimal() for name in names)
    numbers = [int(n) for n in names] if whole else list(range(1, len(names) + 1))
    places = dict(zip(names, numbers, strict=True))
    view = View(job)
    view.draw(axes, places)
    steps: list[float] = []
    best: float | None = None
    for trial in job.trials:
        counts = trial.measured and trial.status in ELIGIBLE
        if counts and (best is None or job.better(trial.reached, best)):
            best = trial.reached
        seen = best is not None and view.scale.inside(best)
        steps.append(best if best is not None and seen else math.nan)
        if len(trial.seeds) > 1 and trial.measured:
            ends = [view.scale.place(f(trial.seeds)) for f in (min, max)]
            axes.vlines(places[trial.name], *ends, color=BLUE, linewidth=1, alpha=0.6)
    if best is not None:
        axes.step(
            [*numbers, max(numbers) + 0.5],
            [*steps, steps[-1]],
            where="post",
            color=ORANGE,
            linewidth=1.6,
            label="best so far",
            zorder=2,
        )
    axes.set(xlabel="trial", ylabel=label_of(job))
    whole_numbers(axes)
    axes.set_xlim(min(numbers, default=0) - 0.6, max(numbers, default=0) + 0.6)
    legend(figure, [axes])
    return figure
