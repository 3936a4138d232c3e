"""Parallel coordinates: each trial as a line through its hyperparameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from zoo.system.figures import GREY, ORANGE, figure_of
from zoo.tuning.job import Job, Trial
from zoo.tuning.pictures.axes import range_of, round_marks
from zoo.tuning.pictures.figures import legend, short
from zoo.tuning.pictures.scale import Scale, scale_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def parallel(job: Job) -> Figure:
    """The figure of `plot_parallel`."""
    # matplotlib: put off.
    from matplotlib import colormaps

    names, scale, colors = job.names, scale_of(job), colormaps["viridis"]
    figure = figure_of(max(7.0, 1.45 * (len(names) + 1)), 4.6)
    axes = figure.subplots()
    ways = [_way(job, name) for name in names]
    best = job.best
    for index, trial in enumerate(reversed(job.ranked)):  # the best on top
        shift = 0.012 * (index % 5 - 2)
        heights = [place(trial, shift) for place, _ in ways]
        if trial.measured:
            height = scale.fraction(trial.reached)
            badness = 1 - height if job.higher else height
            style: dict[str, Any] = {
                "color": colors(0.93 * badness),
                "alpha": 0.75,
                "linewidth": 1.1,
            }
            heights.append(height)
        else:
            style = {"color": GREY, "alpha": 0.6, "linewidth": 0.9, "linestyle": ":"}
        if trial is best:
            style = {"color": ORANGE, "linewidth": 2.4}
        axes.plot(range(len(heights)), heights, zorder=2 + (trial is best), **style)
    if best is not None:
        axes.plot([], [], color=ORANGE, linewidth=2.4, label=f"best: trial {best.name}")
    if any(not trial.measured for trial in job.trials):
        axes.plot([], [], ":", color=GREY, linewidth=1, label="without a result")
    ticks = [ticks for _, ticks in ways] + [_objective_ticks(job, scale)]
    for x, marks in enumerate(ticks):
        axes.axvline(x, color="#444444", linewidth=0.8, zorder=4)
        for height, text in marks:
            _beside(axes, x, height, text)
    absent = any(height < 0 for marks in ticks for height, _ in marks)
    if absent:
        axes.plot([], [], " ", label="–: not in use")
    axes.set_xticks(range(len(ticks)), [_broken(n) for n in [*names, job.objective]])
    axes.tick_params(axis="x", top=True, labeltop=True, bottom=False, labelbottom=False)
    axes.tick_params(length=0)
    axes.set(
        xlim=(-0.1, len(names) + 0.6), ylim=(-0.2 if absent else -0.06, 1.06), yticks=[]
    )
    axes.spines[:].set_visible(False)
    legend(figure, [axes])
    return figure


def _way(
    job: Job, name: str
) -> tuple[Callable[[Trial, float], float], list[tuple[float, str]]]:
    """For an axis of parallel coordinates: the height of a trial, and ticks."""
    if not job.numeric(name):
        choices = [repr(choice) for choice in job.choices(name)]
        step = 1 / max(1, len(choices) - 1)
        base = 0.5 if len(choices) == 1 else 0.0

        def place(trial: Trial, shift: float) -> float:
            if name not in trial.values:
                return -0.12 + shift
            return base + step * choices.index(repr(trial.values[name])) + shift

        ticks = [
            (base + step * index, short(str(choice)))
            for index, choice in enumerate(job.choices(name))
        ]
    else:
        values = [t.values[name] for t in job.trials if t.values.get(name) is not None]
        low, high, log, whole = range_of(job, name, values)
        scale = Scale(low, high, log)

        def place(trial: Trial, shift: float) -> float:
            value = trial.values.get(name)
            if value is None:
                return -0.12 + shift
            return scale.fraction(value) + (shift if whole else 0.0)

        ticks = [(scale.fraction(t), f"{t:g}") for t in round_marks(scale, whole)]
    if any(place(trial, 0.0) < 0 for trial in job.trials):
        ticks.append((-0.12, "–"))
    return place, ticks


def _objective_ticks(job: Job, scale: Scale) -> list[tuple[float, str]]:
    ticks = [(scale.fraction(mark), f"{mark:g}") for mark in round_marks(scale, False)]
    if any(trial.measured and not scale.inside(trial.reached) for trial in job.trials):
        height, words = (0.0, "below") if job.higher else (1.0, "above")
        ticks = [tick for tick in ticks if abs(tick[0] - height) > 0.07]
        ticks.append((height, f"{words} {scale.at(height):.3g}"))
    return ticks


def _beside(axes: Axes, x: float, height: float, text: str) -> None:
    axes.plot([x - 0.02, x + 0.02], [height] * 2, color="#444444", lw=0.8, zorder=4)
    axes.annotate(
        text,
        (x, height),
        xytext=(4, 0),
        textcoords="offset points",
        va="center",
        fontsize=8,
        zorder=6,
        bbox={"facecolor": "white", "edgecolor": "none", "alpha": 0.75, "pad": 0.6},
    )


def _broken(name: str, length: int = 15) -> str:
    """A name, broken into lines of about `length` characters."""
    lines = [""]
    for word in name.replace("_", "_ ").split(" "):
        glue = "" if not lines[-1] or lines[-1].endswith("_") else " "
        if len(lines[-1]) + len(word) > length and lines[-1]:
            lines.append(word)
        else:
            lines[-1] += glue + word
    return "\n".join(lines)
