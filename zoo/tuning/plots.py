"""Pictures of a tuning job: a figure each, and the same as a PNG file."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from zoo.files import atomic_path
from zoo.plots import BLUE, GREY, ORANGE
from zoo.tuning.importance import FEWEST, importance
from zoo.tuning.job import Job, Trial
from zoo.tuning.scale import Scale, is_power_of_two, log_ticks, scale_of

RED = "#b3261e"
COLUMNS = 3  # panels in a row
# Status -> marker, filled or not.
MARKS = {
    "completed": ("o", True),
    "cut": ("D", True),
    "running": ("o", False),
    "pruned": ("v", False),
}
DASHES = ("--", ":", "-.", (0, (6, 2, 1, 2, 1, 2)))
NOTHING = "no trial has a result yet"


def plot_against(
    path: str | os.PathLike, job: Job, names: Sequence[str] | None = None
) -> None:
    """The objective against each hyperparameter, side by side.

    Args:
        path: A PNG file, replaced if it exists.
        job: The job.
        names: Hyperparameters to show; None: all.

    Raises:
        ValueError: If the job has no hyperparameter of such a name.
    """
    _save(against(job, names), job, path)


def plot_parallel(path: str | os.PathLike, job: Job) -> None:
    """Each trial as a line through its hyperparameters to its objective.

    Args:
        path: A PNG file, replaced if it exists.
        job: The job.
    """
    _save(parallel(job), job, path)


def plot_importance(path: str | os.PathLike, job: Job) -> None:
    """How much the objective depends on each hyperparameter.

    Args:
        path: A PNG file, replaced if it exists.
        job: The job. With fewer than 8 trials that have a result, the picture says so.

    Raises:
        ZooError: If scikit-learn is not installed.
    """
    _save(importances(job), job, path)


def plot_progress(path: str | os.PathLike, job: Job) -> None:
    """The objective of each trial and the best so far, as they were begun.

    Args:
        path: A PNG file, replaced if it exists.
        job: The job.
    """
    _save(progress(job), job, path)


def against(job: Job, names: Sequence[str] | None = None):
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
    figure = _figure(max(6.0, 3.6 * columns), 2.9 * rows + 0.8)
    every = list(figure.subplots(rows, columns, squeeze=False).flat)
    view = _View(job)
    for axes, name in zip(every, names, strict=False):
        having = [t for t in job.trials if t.values.get(name) is not None]
        if job.numeric(name):
            places = {t.name: t.values[name] for t in having}
            _number_axis(axes, job, name, list(places.values()))
        else:
            places = _strips(axes, job, name)
        view.draw(axes, places)
        few = f" ({len(places)} of {len(job.trials)} trials)"
        axes.set_xlabel(name + (few if len(places) < len(job.trials) else ""))
    for index, axes in enumerate(every):
        if index >= len(names):
            axes.remove()
        elif index % columns:
            axes.tick_params(labelleft=False)
    figure.supylabel(_label(job), fontsize=10)
    _legend(figure, every[: len(names)])
    return figure


def parallel(job: Job):
    """The figure of `plot_parallel`."""
    from matplotlib import colormaps

    names, scale, colors = job.names, scale_of(job), colormaps["viridis"]
    figure = _figure(max(7.0, 1.45 * (len(names) + 1)), 4.6)
    axes = figure.subplots()
    ways = [_way(job, name) for name in names]
    best = job.best
    for index, trial in enumerate(reversed(job.ranked)):  # the best on top
        shift = 0.012 * (index % 5 - 2)
        heights = [place(trial, shift) for place, _ in ways]
        if trial.measured:
            height = scale.fraction(trial.value)
            badness = 1 - height if job.higher else height
            style = {"color": colors(0.93 * badness), "alpha": 0.75, "linewidth": 1.1}
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
    _legend(figure, [axes])
    return figure


def importances(job: Job):
    """The figure of `plot_importance`."""
    found = importance(job)
    few = found.bars is None
    figure = _figure(8, 1.0 if few else 0.38 * len(job.names) + 1.4)
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    if few:
        words = (
            f"{found.trials} trial{'' if found.trials == 1 else 's'} with a result, "
            f"of {FEWEST} that are needed"
        )
        axes.text(0, 0.5, words, va="center", color=GREY)
        axes.set_axis_off()
        return figure
    bars = sorted(found.bars.items(), key=lambda item: item[1][0])
    labels = [name for name, _ in bars]
    means, spreads = np.array([pair for _, pair in bars]).T
    style = {"ecolor": GREY, "capsize": 2, "error_kw": {"linewidth": 1}}
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


def progress(job: Job):
    """The figure of `plot_progress`."""
    figure = _figure(8, 4.5)
    axes = figure.subplots()
    names = [trial.name for trial in job.trials]
    whole = all(name.isdecimal() for name in names)
    numbers = [int(n) for n in names] if whole else list(range(1, len(names) + 1))
    places = dict(zip(names, numbers, strict=True))
    view = _View(job)
    view.draw(axes, places)
    steps, best = [], None
    for trial in job.trials:
        counts = trial.measured and trial.status in ("completed", "cut", "running")
        if counts and (best is None or job.better(trial.value, best)):
            best = trial.value
        seen = best is not None and view.scale.inside(best)
        steps.append(best if seen else math.nan)
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
    axes.set(xlabel="trial", ylabel=_label(job))
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    axes.set_xlim(min(numbers, default=0) - 0.6, max(numbers, default=0) + 0.6)
    _legend(figure, [axes])
    return figure


class _View:
    """The objective of a job as the vertical axis of any of its pictures."""

    def __init__(self, job: Job):
        self.job, self.scale = job, scale_of(job)
        values = [trial.value for trial in job.trials if trial.measured]
        self.empty = not values
        self.beyond = any(not self.scale.inside(value) for value in values)
        top = 1.08
        if self.beyond and not job.higher:
            top += 0.07
        self.failed = self.scale.at(top + 0.03) if job.failed else None
        self.top = self.scale.at(top + 0.08 if job.failed else top)
        self.band = self.scale.at(top - 0.01)
        self.bottom = self.scale.at(-0.15 if self.beyond and job.higher else -0.08)
        self.edge = self.scale.at(-0.08 if job.higher else 1.08)

    def draw(self, axes, places: dict) -> None:
        """Draws all trials of which `places` has the other coordinate, by name."""
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
        axes.set_axisbelow(True)
        if self.scale.log:
            axes.set_yscale("log")
        axes.set_ylim(self.bottom, self.top)
        if self.scale.log:
            ticks = log_ticks(self.scale.low, self.scale.high)
            axes.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.yaxis.minorticks_off()
        elif self.empty and not self.job.references:
            axes.set_yticks([])
        else:
            _within(axes.yaxis, self.scale.at(-0.08), self.scale.at(1.04))
        shown = [t for t in self.job.trials if t.name in places]
        for status in MARKS:
            self._status(axes, status, shown, places)
        self._beyond(axes, shown, places)
        self._failures(axes, shown, places)
        self._best(axes, places)
        self._levels(axes)
        if self.empty:
            axes.text(
                *(0.5, 0.45, NOTHING),
                transform=axes.transAxes,
                ha="center",
                color=GREY,
                bbox={"color": "white", "pad": 2},
            )

    def _status(self, axes, status: str, shown: list[Trial], places: dict) -> None:
        trials = [t for t in shown if t.status == status and t.measured]
        trials = [t for t in trials if self.scale.inside(t.value)]
        marker, filled = MARKS[status]
        color = GREY if status == "pruned" else BLUE
        if trials:
            axes.scatter(
                [places[t.name] for t in trials],
                [t.value for t in trials],
                s=22,
                marker=marker,
                facecolors=color if filled else "none",
                edgecolors=color,
                alpha=0.75,
                label=status,
                zorder=3,
            )

    def _beyond(self, axes, shown: list[Trial], places: dict) -> None:
        outside = [t for t in shown if t.measured and not self.scale.inside(t.value)]
        if outside:
            end = self.scale.low if self.job.higher else self.scale.high
            axes.scatter(
                [places[t.name] for t in outside],
                [self.edge] * len(outside),
                s=26,
                marker="v" if self.job.higher else "^",
                color=RED,
                alpha=0.75,
                label=f"{'below' if self.job.higher else 'above'} {end:.3g}",
                zorder=3,
            )

    def _failures(self, axes, shown: list[Trial], places: dict) -> None:
        if self.failed is None:
            return
        axes.axhspan(self.band, self.top, color="#f3e9e8", linewidth=0, zorder=0)
        failures = [t for t in shown if t.status == "failed"]
        if failures:
            axes.scatter(
                [places[t.name] for t in failures],
                [self.failed] * len(failures),
                s=24,
                marker="x",
                color=RED,
                linewidths=1.2,
                label="failed",
                zorder=3,
            )

    def _best(self, axes, places: dict) -> None:
        best = self.job.best
        if best is not None and best.name in places:
            axes.scatter(
                [places[best.name]],
                [self.scale.place(best.value)],
                s=150,
                marker="*",
                color=ORANGE,
                edgecolors="white",
                linewidths=0.8,
                label=f"best: {best.value:.4g} (trial {best.name})",
                zorder=5,
            )

    def _levels(self, axes) -> None:
        for index, (name, level) in enumerate(self.job.references.items()):
            if not math.isfinite(level):
                continue
            label = f"{name}: {level:.4g}"
            style = {"color": GREY, "linestyle": DASHES[index % len(DASHES)]}
            if self.scale.inside(level):
                axes.axhline(level, linewidth=1.2, label=label, zorder=1, **style)
            else:
                where = "above" if level > self.scale.high else "below"
                axes.plot([], [], " ", label=f"{label} ({where} the picture)")


def _within(axis, low: float, high: float) -> None:
    """Ticks of a plain axis between two values only."""
    from matplotlib.ticker import FixedLocator, MaxNLocator

    ticks = MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    axis.set_major_locator(FixedLocator([t for t in ticks if low <= t <= high]))


def _number_axis(axes, job: Job, name: str, values: list) -> None:
    """Range, kind and ticks of a horizontal axis of numbers."""
    low, high, log, whole = _range(job, name, values)
    if log:
        twos = whole and is_power_of_two(low) and is_power_of_two(high)
        axes.set_xscale("log")
        ticks = log_ticks(low, high, powers_of_two=twos)
        axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
        axes.xaxis.minorticks_off()
        room = (high / low) ** 0.04
        axes.set_xlim(low / room, high * room)
    else:
        from matplotlib.ticker import MaxNLocator

        axes.xaxis.set_major_locator(MaxNLocator(6, integer=whole))
        room = 0.04 * (high - low)
        axes.set_xlim(low - room, high + room)


def _range(job: Job, name: str, values: list) -> tuple[float, float, bool, bool]:
    """Low, high, whether the axis is logarithmic, whether all numbers are whole."""
    entry = job.space.get(name, {})
    ends = [v for v in (entry.get("low"), entry.get("high")) if v is not None]
    every = [*ends, *values] or [0, 1]
    low, high = min(every), max(every)
    log = bool(entry.get("log")) and low > 0
    if low == high:
        low, high = (low / 2, high * 2) if log else (low - 1, high + 1)
    return low, high, log, all(isinstance(v, int) for v in every)


def _strips(axes, job: Job, name: str) -> dict:
    """A strip for each choice, with its median; returns the trials' places."""
    choices = [repr(choice) for choice in job.choices(name)]
    groups = {choice: [] for choice in choices}
    for trial in job.trials:
        if name in trial.values:
            groups[repr(trial.values[name])].append(trial)
    scale, places = scale_of(job), {}
    for index, group in enumerate(groups.values()):
        for position, trial in enumerate(group):
            # Spread evenly whatever the number: multiples of the golden ratio.
            places[trial.name] = index + 0.44 * (position * 0.618034 % 1 - 0.5)
        known = [trial.value for trial in group if trial.measured]
        middle = float(np.median(known)) if known else math.inf
        if scale.inside(middle):
            axes.hlines(
                *(middle, index - 0.32, index + 0.32),
                color="black",
                linewidth=1,
                label="median of a choice",
            )
    labels = [_short(str(choice)) for choice in job.choices(name)]
    room = 2 * 38 / max(1, len(labels)) - 2  # characters that two neighbours have
    turned = any(len(a) + len(b) > room for a, b in pairwise(labels))
    style = {"rotation": 25, "ha": "right", "rotation_mode": "anchor"} if turned else {}
    axes.set_xticks(range(len(labels)), labels, **style)
    axes.set_xlim(-0.6, max(1, len(labels)) - 0.4)
    return places


def _way(job: Job, name: str):
    """Of an axis of parallel coordinates: height of a trial, and ticks."""
    if not job.numeric(name):
        choices = [repr(choice) for choice in job.choices(name)]
        step = 1 / max(1, len(choices) - 1)
        base = 0.5 if len(choices) == 1 else 0.0

        def place(trial, shift):
            if name not in trial.values:
                return -0.12 + shift
            return base + step * choices.index(repr(trial.values[name])) + shift

        ticks = [
            (base + step * index, _short(str(choice)))
            for index, choice in enumerate(job.choices(name))
        ]
    else:
        values = [t.values[name] for t in job.trials if t.values.get(name) is not None]
        low, high, log, whole = _range(job, name, values)
        scale = Scale(low, high, log)

        def place(trial, shift):
            value = trial.values.get(name)
            if value is None:
                return -0.12 + shift
            return scale.fraction(value) + (shift if whole else 0.0)

        ticks = [(scale.fraction(t), f"{t:g}") for t in _marks(scale, whole)]
    if any(place(trial, 0.0) < 0 for trial in job.trials):
        ticks.append((-0.12, "–"))
    return place, ticks


def _marks(scale: Scale, whole: bool) -> list[float]:
    """Round numbers within a scale."""
    if scale.log:
        twos = whole and is_power_of_two(scale.low) and is_power_of_two(scale.high)
        return log_ticks(scale.low, scale.high, powers_of_two=twos)
    from matplotlib.ticker import MaxNLocator

    marks = MaxNLocator(5, integer=whole).tick_values(scale.low, scale.high)
    return [mark for mark in marks if scale.inside(mark)]


def _objective_ticks(job: Job, scale: Scale) -> list[tuple[float, str]]:
    ticks = [(scale.fraction(mark), f"{mark:g}") for mark in _marks(scale, False)]
    if any(trial.measured and not scale.inside(trial.value) for trial in job.trials):
        height, words = (0.0, "below") if job.higher else (1.0, "above")
        ticks = [tick for tick in ticks if abs(tick[0] - height) > 0.07]
        ticks.append((height, f"{words} {scale.at(height):.3g}"))
    return ticks


def _beside(axes, x: float, height: float, text: str) -> None:
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


def _short(text: str, length: int = 16) -> str:
    return text if len(text) <= length else text[: length - 3] + "..."


def _broken(name: str, length: int = 15) -> str:
    """A name in lines of about `length` characters."""
    lines = [""]
    for word in name.replace("_", "_ ").split(" "):
        glue = "" if not lines[-1] or lines[-1].endswith("_") else " "
        if len(lines[-1]) + len(word) > length and lines[-1]:
            lines.append(word)
        else:
            lines[-1] += glue + word
    return "\n".join(lines)


def _label(job: Job) -> str:
    if not job.unit:
        return job.objective
    long = len(job.objective) + len(job.unit) > 44
    return f"{job.objective}{chr(10) if long else ' '}({job.unit})"


def _legend(figure, every: Sequence) -> None:
    """One legend for all axes below them, each entry once."""
    entries = {}
    for axes in every:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            entries.setdefault(label, handle)
    if entries:
        figure.legend(
            list(entries.values()),
            list(entries),
            frameon=False,
            loc="outside lower center",
            ncols=4,
            fontsize=9,
        )


def _figure(width: float, height: float):
    # Imported late and without pyplot, as in `zoo.plots`.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _save(figure, job: Job, path: str | os.PathLike) -> None:
    figure.suptitle(job.title, parse_math=False)  # "$" may be in a name
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
