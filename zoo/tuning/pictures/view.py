"""Draws trials in plots that have the objective as vertical axis."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoo.system.figures import BLUE, GREY, ORANGE
from zoo.tuning.job import Job, Trial
from zoo.tuning.pictures.scale import log_ticks, scale_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

RED = "#b3261e"
# Status -> marker, filled or not.
MARKS = {
    "completed": ("o", True),
    "cut": ("D", True),
    "running": ("o", False),
    "pruned": ("v", False),
}
DASHES = ("--", ":", "-.", (0, (6, 2, 1, 2, 1, 2)))
NOTHING = "no trial has a result yet"


class View:
    """The objective of a job as the vertical axis of a plot."""

    def __init__(self, job: Job):
        self.job, self.scale = job, scale_of(job)
        values = [trial.reached for trial in job.trials if trial.measured]
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

    def draw(self, axes: Axes, places: Mapping[str, float]) -> None:
        """Draws all trials whose horizontal position is in `places`, by name."""
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

    def _status(
        self, axes, status: str, shown: list[Trial], places: Mapping[str, float]
    ) -> None:
        trials = [t for t in shown if t.status == status and t.measured]
        trials = [t for t in trials if self.scale.inside(t.reached)]
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

    def _beyond(self, axes, shown: list[Trial], places: Mapping[str, float]) -> None:
        outside = [t for t in shown if t.measured and not self.scale.inside(t.reached)]
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

    def _failures(self, axes, shown: list[Trial], places: Mapping[str, float]) -> None:
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

    def _best(self, axes, places: Mapping[str, float]) -> None:
        best = self.job.best
        if best is not None and best.name in places:
            axes.scatter(
                [places[best.name]],
                [self.scale.place(best.reached)],
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


def _within(axis: Any, low: float, high: float) -> None:
    """Restricts the ticks of a linear axis to a range."""
    # matplotlib: put off.
    from matplotlib.ticker import FixedLocator, MaxNLocator

    ticks = MaxNLocator(7, steps=[1, 2, 2.5, 5, 10]).tick_values(low, high)
    axis.set_major_locator(FixedLocator([t for t in ticks if low <= t <= high]))
