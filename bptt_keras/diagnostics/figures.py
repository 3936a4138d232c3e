"""Pictures drawn with Matplotlib, which is imported only when one is drawn."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import numpy as np


def panels(title: str, count: int, columns: int = 3) -> tuple[Any, list]:
    """Creates a figure with several pairs of axes, row by row.

    Args:
        title: Title of the figure; may be empty.
        count: Number of pairs of axes.
        columns: Most pairs of axes in a row.

    Returns:
        `(figure, axes)`: a figure that opens no window, and the axes as a list.

    Raises:
        ImportError: If Matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise ImportError(
            'Plots need Matplotlib. Install it with `pip install "bptt_keras[plots]"`.'
        ) from error
    columns = min(count, columns)
    rows = -(-count // columns)
    figure = Figure(figsize=(4.5 * columns, 3.6 * rows), layout="constrained")
    if title:
        figure.suptitle(title, parse_math=False)
    axes = list(figure.subplots(rows, columns, squeeze=False).flat)
    for unused in axes[count:]:
        unused.remove()
    return figure, axes[:count]


def legend(axes: Any, **options: Any) -> None:
    """Adds a legend that shows names literally: "$" does not begin a formula."""
    for text in axes.legend(**options).get_texts():
        text.set_parse_math(False)


def saved(figure: Any, path: str | os.PathLike | None) -> Any:
    """Writes a figure to a file, unless `path` is `None`, and returns it."""
    if path is not None:
        figure.savefig(path, dpi=120)
    return figure


def positive(values: Sequence[float] | np.ndarray) -> np.ndarray:
    """Replaces values that a logarithmic scale cannot show with NaN."""
    values = np.asarray(values, float)
    return np.where(values > 0, values, np.nan)
