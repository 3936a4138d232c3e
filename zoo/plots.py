"""Pictures of a training run, and of what a model makes."""

from __future__ import annotations

import os
from collections.abc import Sequence

import numpy as np

from zoo.files import atomic_path
from zoo.midi import LOWEST, held_notes

BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#777777"


def plot_metric(
    path: str | os.PathLike, history: dict, metric, lines: dict, title: str
) -> None:
    """A task's metric by epoch, in training and validation, with levels as lines.

    Args:
        path: A PNG file, replaced if it exists.
        history: Lists by name: `epoch`, and the metric's log with and without `val_`.
        metric: The task's `Metric`.
        lines: Levels by name, in the metric's unit.
        title: Title of the picture.
    """
    figure, axes = _figure(title)
    for name, style, color, label in (
        (metric.log, "o-", BLUE, "training"),
        (f"val_{metric.log}", "s-", ORANGE, "validation"),
    ):
        values = [metric.factor * value for value in history[name]]
        axes.plot(
            history["epoch"], values, style, color=color, markersize=4, label=label
        )
    # Rules that are equally good share one line of text.
    same: dict[str, list[str]] = {}
    for name, level in lines.items():
        same.setdefault(f"{level:.3g}", []).append(name)
    for shown, names in same.items():
        _level(axes, lines[names[0]], f"{', '.join(names)} {shown}")
    unit = f" ({metric.unit})" if metric.unit else ""
    axes.set(xlabel="epoch", ylabel=f"{metric.name}{unit}")
    axes.xaxis.get_major_locator().set_params(integer=True)
    _finish(figure, axes, path)


def plot_grad_norm(
    path: str | os.PathLike, norms: list[float], clip: float | None, title: str
) -> None:
    """Gradient norm by batch, with the clipping threshold as a line.

    Args:
        path: A PNG file, replaced if it exists.
        norms: Global norm before clipping, one a batch.
        clip: The threshold; None if nothing is clipped.
        title: Title of the picture.
    """
    figure, axes = _figure(title)
    axes.plot(range(1, len(norms) + 1), norms, color=BLUE, linewidth=0.7)
    if clip is not None:
        _level(axes, clip, f"clipped above {clip:g}")
    axes.set(xlabel="batch", ylabel="global gradient norm before clipping")
    axes.set_yscale("log")
    _finish(figure, axes, path)


def plot_roll(
    path: str | os.PathLike,
    roll: np.ndarray,
    *,
    begin: int,
    frames_per_beat: int,
    title: str,
) -> None:
    """A piano roll, the notes of the prompt in another colour.

    Args:
        path: A PNG file, replaced if it exists.
        roll: `(frames, 88)`, not 0 where a key sounds.
        begin: Frame after the prompt.
        frames_per_beat: Frames of a beat.
        title: Title of the picture.
    """
    figure, axes = _figure(title)
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
    _legend_below(figure, axes)
    _save(figure, path)


def plot_forecast(
    path: str | os.PathLike,
    past: np.ndarray,
    forecast: np.ndarray,
    naive: np.ndarray,
    *,
    names: Sequence[str],
    rule: str,
    title: str,
) -> None:
    """The end of a series and what is forecast, a row for each of up to 8 columns.

    Args:
        path: A PNG file, replaced if it exists.
        past: `(timesteps, columns)`.
        forecast: `(horizon, columns)`.
        naive: The naive forecast, likewise.
        names: Names of the columns.
        rule: How the naive forecast is made.
        title: Title of the picture.
    """
    rows = min(len(names), 8)
    if rows < len(names):
        title = f"{title} (the first {rows} of {len(names)} columns)"
    figure, axes = _figures(title, rows)
    before, after = np.arange(1 - len(past), 1), np.arange(1, len(forecast) + 1)
    marker = "o" if len(after) == 1 else None
    for i in range(rows):
        axes[i].plot(before, past[:, i], color=BLUE, label="past")
        axes[i].plot(
            after, forecast[:, i], color=ORANGE, marker=marker, label="forecast"
        )
        # On top and thin: where the two are the same, both are seen.
        axes[i].plot(
            after,
            naive[:, i],
            "--",
            color="black",
            marker=marker,
            linewidth=0.9,
            label=f"naive forecast: {rule}",
        )
        axes[i].axvline(0, color=GREY, linewidth=0.7)
        axes[i].set_ylabel(names[i])
    axes[-1].set_xlabel("timesteps after the last one")
    figure.align_ylabels(axes)
    _legend_below(figure, axes[0])
    _save(figure, path)


def _figure(title: str):
    figure, (axes,) = _figures(title, 1)
    return figure, axes


def _figures(title: str, rows: int):
    # Imported late and without pyplot: no window system is needed, and the command
    # line answers quickly where nothing is drawn.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height = max(4.5, 1.6 * rows)
    figure = Figure(figsize=(8, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    every = figure.subplots(rows, sharex=True, squeeze=False)[:, 0]
    every[0].set_title(title)
    for axes in every:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    return figure, every


def _level(axes, level: float, text: str) -> None:
    axes.axhline(level, color=GREY, linestyle="--", linewidth=1)
    axes.annotate(
        text,
        (1.0, level),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 3),
        textcoords="offset points",
        ha="right",
        color=GREY,
        fontsize=9,
    )


def _legend_below(figure, axes) -> None:
    lines = axes.get_legend_handles_labels()
    figure.legend(*lines, frameon=False, loc="outside lower center", ncols=3)


def _finish(figure, axes, path: str | os.PathLike) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    _save(figure, path)


def _save(figure, path: str | os.PathLike) -> None:
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
