"""Pictures of the measurements."""

import math

GROUPS = {"bptt_keras": "#1f5fa8", "keras": "#d9730d", "torch": "#b3261e"}
GREY = "#777777"


def plot_shapes(path, shapes, title):
    """Bars of the time of a window, one panel for each shape.

    Args:
        path: A PNG file, replaced if it exists.
        shapes: `{name: rows}`, rows from `tables.summarize`.
        title: Title of the picture.
    """
    import matplotlib.pyplot as plt

    columns = min(3, len(shapes))
    lines = math.ceil(len(shapes) / columns)
    figure, panels = plt.subplots(
        lines, columns, figsize=(5.2 * columns, 3.4 * lines), squeeze=False
    )
    for axes, (name, rows) in zip(panels.flat, shapes.items(), strict=False):
        _bars(axes, [row for row in rows if not row["error"]])
        axes.set_title(name, fontsize=10)
    for axes in panels.flat[len(shapes) :]:
        axes.set_visible(False)
    _finish(figure, path, title)


def plot_scaling(path, sweeps, title):
    """The time of a token over each size, on logarithmic axes.

    Args:
        path: A PNG file, replaced if it exists.
        sweeps: `{name: {"values": [...], "token_us": [...], "exponent": number}}`.
        title: Title of the picture.
    """
    import matplotlib.pyplot as plt

    figure, panels = plt.subplots(
        1, len(sweeps), figsize=(3.6 * len(sweeps), 3.6), squeeze=False
    )
    for axes, (name, sweep) in zip(panels.flat, sweeps.items(), strict=True):
        axes.loglog(sweep["values"], sweep["token_us"], "o-", color="#1f5fa8")
        axes.set(xlabel=name, ylabel="microseconds a token")
        axes.set_title(f"time ~ {name}^{sweep['exponent']:.2f}", fontsize=10)
        axes.grid(alpha=0.3, which="both")
    _finish(figure, path, title)


def plot_memory(path, lengths, memory, title):
    """Peak memory over the length of a sequence, on logarithmic axes.

    Args:
        path: A PNG file, replaced if it exists.
        lengths: Timesteps.
        memory: `{method: {"mib": [...], "exponent": number}}`.
        title: Title of the picture.
    """
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(5.6, 4.0))
    for method, result in memory.items():
        label = f"{method}: ~ timesteps^{result['exponent']:.2f}"
        axes.loglog(lengths, result["mib"], "o-", label=label)
    axes.set(xlabel="timesteps", ylabel="MiB that one batch adds")
    axes.grid(alpha=0.3, which="both")
    axes.legend(fontsize=8)
    _finish(figure, path, title)


def _bars(axes, rows):
    medians = [row["median_ms"] for row in rows]
    spread = [
        [row["median_ms"] - row["min_ms"] for row in rows],
        [row["max_ms"] - row["median_ms"] for row in rows],
    ]
    names = [row["name"] for row in rows]
    colors = [_color(name) for name in names]
    axes.barh(names, medians, xerr=spread, color=colors, ecolor="#333333")
    axes.invert_yaxis()
    axes.set_xlabel("milliseconds a window (median, min to max)")
    axes.tick_params(labelsize=8)


def _color(name):
    return next((c for key, c in GROUPS.items() if name.startswith(key)), GREY)


def _finish(figure, path, title):
    figure.suptitle(title, fontsize=10)
    figure.tight_layout()
    figure.savefig(path, dpi=120)
