"""Plots of what a model produces: a piece of music, a forecast."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from zoo.music.midi import LOWEST, held_notes
from zoo.system.figures import (
    BLUE,
    GREY,
    ORANGE,
    legend_below,
    never_fails,
    one_axes,
    rows_of_axes,
    save,
    shown,
)
from zoo.tables.clock import Clock

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@never_fails
def plot_roll(
    path: str | os.PathLike,
    roll: np.ndarray,
    *,
    begin: int,
    frames_per_beat: int,
    title: str,
) -> None:
    """Plots a piano roll, with the notes of the prompt in a different colour.

    Args:
        path: A PNG file, replaced if it exists.
        roll: `(frames, 88)`, nonzero where a key sounds.
        begin: First frame after the prompt.
        frames_per_beat: Number of frames per beat.
        title: Title of the plot.
    """
    figure, axes = one_axes(title)
    for first, part, color, label in (
        (0, roll[:begin], ORANGE, "prompt"),
        (begin, roll[begin:], BLUE, "added"),
    ):
        notes = np.array(held_notes(part)).reshape(-1, 3)
        keys, starts, ends = notes.T
        axes.barh(
            LOWEST + keys,
            (ends - starts) / frames_per_beat,
            left=(first + starts) / frames_per_beat,
            color=color,
            label=label,
            zorder=2,  # above the grid
        )
    sounding = LOWEST + np.flatnonzero(np.any(roll, axis=0))
    low, high = (sounding[0], sounding[-1]) if len(sounding) else (60, 72)
    octaves = [note for note in range(12, 120, 12) if low - 6 <= note <= high + 6]
    axes.set_yticks(octaves, [f"C{note // 12 - 1}" for note in octaves])
    axes.set(xlabel="beat", ylabel="key", xlim=(0, len(roll) / frames_per_beat))
    axes.set_ylim(min(low, *octaves) - 1, max(high, *octaves) + 1)
    legend_below(figure, axes)
    save(figure, path)


@never_fails
def plot_forecast(
    path: str | os.PathLike,
    past: np.ndarray,
    forecast: np.ndarray,
    naive: np.ndarray,
    *,
    names: Sequence[str],
    rule: str,
    title: str,
    widths: np.ndarray | None = None,
    clock: Clock | None = None,
) -> None:
    """Plots the end of a series and its forecast, one row for each of up to 8 columns.

    Args:
        path: A PNG file, replaced if it exists.
        past: `(timesteps, columns)`.
        forecast: `(horizon, columns)`.
        naive: The naive forecast, `(horizon, columns)`.
        names: Names of the columns.
        rule: How the naive forecast is made, in words.
        title: Title of the plot.
        widths: Half-widths of 90 % intervals, `(horizon, columns)`; None: none.
        clock: `Clock` of the series; None: number the timesteps.
    """
    rows = min(len(names), 8)
    if rows < len(names):
        title = f"{title} (the first {rows} of {len(names)} columns)"
    figure, axes = rows_of_axes(title, rows)
    before: np.ndarray
    after: np.ndarray
    if clock is None:
        before, after = np.arange(1 - len(past), 1), np.arange(1, len(forecast) + 1)
    else:
        before, after = clock.times[-len(past) :], clock.after(len(forecast))
    marker = "o" if len(after) == 1 else None
    for i in range(rows):
        axes[i].plot(before, past[:, i], color=BLUE, label="past")
        axes[i].plot(
            after, forecast[:, i], color=ORANGE, marker=marker, label="forecast"
        )
        # On top and thin: where the two lines coincide, both are visible.
        axes[i].plot(
            after,
            naive[:, i],
            "--",
            color="black",
            marker=marker,
            linewidth=0.9,
            label=f"naive forecast: {rule}",
        )
        if widths is not None:
            axes[i].fill_between(
                after,
                forecast[:, i] - widths[:, i],
                forecast[:, i] + widths[:, i],
                color=ORANGE,
                alpha=0.2,
                linewidth=0,
                label="90 % interval",
            )
        axes[i].axvline(before[-1], color=GREY, linewidth=0.7)
        axes[i].set_ylabel(shown(names[i]), parse_math=False)
    below = "timesteps after the last one" if clock is None else shown(clock.name)
    axes[-1].set_xlabel(below, parse_math=False)
    if before.dtype.kind == "M":
        _tell_dates(axes[-1])
    figure.align_ylabels(axes)
    legend_below(figure, axes[0])
    save(figure, path)


def _tell_dates(axes: Axes) -> None:
    # matplotlib: put off.
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))
