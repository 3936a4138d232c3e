"""Pictures of a training run, and of what a model makes."""

from __future__ import annotations

import contextlib
import functools
import math
import os
import sys
import unicodedata
import warnings
from collections.abc import Callable, Sequence

import numpy as np

from zoo.system.errors import ZooError
from zoo.system.files import atomic_path
from zoo.music.midi import LOWEST, held_notes

BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#777777"
LONGEST = 70  # characters of a title or a name
# Arrows, at names of levels that lie outside a picture.
ABOVE, BELOW = "\N{UPWARDS ARROW}", "\N{DOWNWARDS ARROW}"


def shown(text: str) -> str:
    """A text as pictures can show it: on one line, not too long, no odd characters.

    Args:
        text: Such as the name of a file or of a column.

    Example:
        from zoo.runs.plots import shown

        assert shown("two" + chr(10) + "lines") == "two lines"
    """
    # Before anything else is done: it may have millions of characters.
    cut = text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
    return "".join(
        " " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c
        for c in cut.encode("utf-8", "replace").decode("utf-8")
    )


def _never_fails(draw: Callable) -> Callable:
    """A function that draws: where it cannot, it says so, and no training ends by it.

    A full disk is another matter.
    """

    @functools.wraps(draw)
    def drawn(path, *arguments, **options):
        try:
            draw(path, *arguments, **options)
        except (OSError, ZooError):
            raise
        except Exception as error:
            words = " ".join(str(error).split())[:200]
            print(f"{path} could not be drawn: {words}", file=sys.stderr)

    return drawn


@_never_fails
def plot_metric(
    path: str | os.PathLike,
    history: dict,
    metric,
    lines: dict,
    title: str,
    *,
    best: int | None = None,
) -> None:
    """A task's metric by epoch, in training and validation, with levels as lines.

    The curves say how high the picture is: levels far from them are named at its
    border.

    Args:
        path: A PNG file, replaced if it exists.
        history: Lists by name: `epoch`, and the metric's log with and without `val_`.
        metric: The task's `Metric`.
        lines: Levels by name, in the metric's unit.
        title: Title of the picture.
        best: Epoch to mark; None: the best by validation, the later one of two.
    """
    figure, axes = _figure(title)
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
    axes.xaxis.get_major_locator().set_params(integer=True, min_n_ticks=1)
    _levels(axes, lines, [v for part in curves.values() for v in part])
    _finish(figure, axes, path)


def _mark_best(axes, epochs, values, metric, best: int | None) -> None:
    """A ring around the best validation."""
    if best is None:
        for epoch, value in zip(epochs, values, strict=True):
            before = values[epochs.index(best)] if best is not None else None
            if not math.isnan(value) and (
                before is None or not metric.better(before, value)
            ):
                best = epoch
    if best in epochs:
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


def _levels(axes, lines: dict, values: list[float]) -> None:
    """Levels near the values as lines, and the names of all at the right border."""
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
    """Ascending places in [0, 1], moved so that texts there do not cover each other."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + gap) if moved else place)
    ceiling = 1.0
    for i in reversed(range(len(moved))):
        moved[i] = min(moved[i], ceiling)
        ceiling = moved[i] - gap
    return moved


@_never_fails
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


@_never_fails
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


@_never_fails
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
    clock=None,
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
        widths: Half-widths of 90 % intervals, `(horizon, columns)`; None: none.
        clock: `zoo.tables.clock.Clock` of the series; None: timesteps are counted.
    """
    rows = min(len(names), 8)
    if rows < len(names):
        title = f"{title} (the first {rows} of {len(names)} columns)"
    figure, axes = _figures(title, rows)
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
    _legend_below(figure, axes[0])
    _save(figure, path)


def _tell_dates(axes) -> None:
    from matplotlib.dates import AutoDateLocator, ConciseDateFormatter

    locator = AutoDateLocator()
    axes.xaxis.set_major_locator(locator)
    axes.xaxis.set_major_formatter(ConciseDateFormatter(locator))


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
    every[0].set_title(shown(title), parse_math=False)
    for axes in every:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    return figure, every


def _level(axes, level: float, text: str) -> None:
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


def _legend_below(figure, axes) -> None:
    lines = axes.get_legend_handles_labels()
    _plain(figure.legend(*lines, frameon=False, loc="outside lower center", ncols=3))


def _finish(figure, axes, path: str | os.PathLike) -> None:
    if axes.get_legend_handles_labels()[0]:
        _plain(axes.legend(frameon=False))
    _save(figure, path)


def _plain(legend) -> None:
    """A "$" in a legend is a character, not the beginning of a formula."""
    for text in legend.get_texts():
        text.set_text(shown(text.get_text()))
        text.set_parse_math(False)


def _save(figure, path: str | os.PathLike) -> None:
    with atomic_path(path) as temporary, _without_notes():
        figure.savefig(temporary)


@contextlib.contextmanager
def _without_notes():
    """Within: nothing is said of characters that a font does not have."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*missing from (current )?font.*")
        yield
