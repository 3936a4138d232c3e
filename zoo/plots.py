"""Pictures of a training run."""

from __future__ import annotations

import os

from zoo.files import atomic_path

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
    for name, level in lines.items():
        _level(axes, level, f"{name} {level:.3g}")
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


def _figure(title: str):
    # Imported late and without pyplot: no window system is needed, and the command
    # line answers quickly where nothing is drawn.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 4.5), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_title(title)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(alpha=0.25)
    return figure, axes


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


def _finish(figure, axes, path: str | os.PathLike) -> None:
    if axes.get_legend_handles_labels()[0]:
        axes.legend(frameon=False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
