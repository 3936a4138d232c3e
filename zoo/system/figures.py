"""Matplotlib figures, made without a window and written atomically."""

from __future__ import annotations

import contextlib
import functools
import os
import sys
import unicodedata
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

from zoo.system.errors import ZooError
from zoo.system.files import atomic_path

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from matplotlib.legend import Legend

BLUE, ORANGE, GREY = "#1f5fa8", "#d9730d", "#777777"

LONGEST = 70  # the most characters of a title or a name


def shown(text: str) -> str:
    """Makes a text fit for a plot: one line, not too long, without odd characters.

    Args:
        text: A text such as the name of a file or of a column.

    Example:
        from zoo.system.figures import shown

        assert shown("two" + chr(10) + "lines") == "two lines"
    """
    # First of all, as it may have millions of characters.
    cut = text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."
    return "".join(
        " " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c
        for c in cut.encode("utf-8", "replace").decode("utf-8")
    )


def never_fails(draw: Callable[..., None]) -> Callable[..., None]:
    """Decorates a function that draws, so that its failure does not end a training.

    It prints the failure instead. A full disk still raises an error.
    """

    @functools.wraps(draw)
    def drawn(path: str | os.PathLike, *arguments: Any, **options: Any) -> None:
        try:
            draw(path, *arguments, **options)
        except (OSError, ZooError):
            raise
        except Exception as error:
            words = " ".join(str(error).split())[:200]
            print(f"{path} could not be drawn: {words}", file=sys.stderr)

    return drawn


def figure_of(width: float, height: float) -> Figure:
    """An empty figure of a size in inches.

    It is made without pyplot, so it needs no window system.
    """
    # matplotlib: put off.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def one_axes(title: str) -> tuple[Figure, Axes]:
    """A figure with a title, and its axes."""
    figure, (axes,) = rows_of_axes(title, 1)
    return figure, axes


def rows_of_axes(title: str, rows: int) -> tuple[Figure, Sequence[Axes]]:
    """A figure with a title, and rows of axes with a common x-axis."""
    figure = figure_of(8, max(4.5, 1.6 * rows))
    every = figure.subplots(rows, sharex=True, squeeze=False)[:, 0]
    every[0].set_title(shown(title), parse_math=False)
    for axes in every:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(alpha=0.25)
    return figure, list(every)


def whole_numbers(axes: Axes) -> None:
    """Puts the ticks of the x-axis at whole numbers, at least one of them."""
    locator: Any = axes.xaxis.get_major_locator()
    locator.set_params(integer=True, min_n_ticks=1)


def legend_below(figure: Figure, axes: Axes) -> None:
    """Puts the legend of some axes below all axes of a figure."""
    lines = axes.get_legend_handles_labels()
    _plain(figure.legend(*lines, frameon=False, loc="outside lower center", ncols=3))


def finish(figure: Figure, axes: Axes, path: str | os.PathLike) -> None:
    """Writes a figure, its legend inside the axes if there is one."""
    if axes.get_legend_handles_labels()[0]:
        _plain(axes.legend(frameon=False))
    save(figure, path)


def _plain(legend: Legend) -> None:
    """Shows a "$" in a legend as a character, instead of starting a formula."""
    for text in legend.get_texts():
        text.set_text(shown(text.get_text()))
        text.set_parse_math(False)


def save(figure: Figure, path: str | os.PathLike) -> None:
    """Writes a figure as a PNG file, atomically."""
    with atomic_path(path) as temporary, _without_notes():
        figure.savefig(temporary)


@contextlib.contextmanager
def _without_notes() -> Iterator[None]:
    """A context without warnings about characters that a font does not have."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*missing from (current )?font.*")
        yield
