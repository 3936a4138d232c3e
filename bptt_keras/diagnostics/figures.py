"""Pictures by Matplotlib, which is loaded where one is drawn."""

import numpy as np


def panels(title, columns, height=3.6):
    """A figure with several pairs of axes side by side.

    Args:
        title: Title of the figure.
        columns: Number of pairs of axes.
        height: Inches.

    Returns:
        `(figure, axes)`: without a window system, and the axes as a list.

    Raises:
        ImportError: If Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'Plots need Matplotlib. Install it with `pip install "bptt_keras[plots]"`.'
        ) from error
    figure = Figure(figsize=(4.5 * columns, height), layout="constrained")
    figure.suptitle(title)
    axes = list(figure.subplots(1, columns, squeeze=False)[0])
    return figure, axes


def saved(figure, path):
    """The figure, written to a file unless `path` is `None`."""
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure


def positive(values):
    """NaN for what has no place on a logarithmic scale."""
    values = np.asarray(values, float)
    return np.where(values > 0, values, np.nan)
