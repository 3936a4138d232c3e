"""What all plots of a tuning job have in common."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from zoo.system.figures import shown
from zoo.system.files import atomic_path
from zoo.tuning.job import Job

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def label_of(job: Job) -> str:
    """The objective with its unit, in two lines if it is long."""
    if not job.unit:
        return job.objective
    long = len(job.objective) + len(job.unit) > 44
    return f"{job.objective}{chr(10) if long else ' '}({job.unit})"


def short(text: str, length: int = 16) -> str:
    """The text, cut to at most `length` characters."""
    return text if len(text) <= length else text[: length - 3] + "..."


def legend(figure: Figure, every: Sequence[Axes]) -> None:
    """Draws one legend for all axes below them, with each entry once."""
    entries: dict[str, Any] = {}
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


def save(figure: Figure, job: Job, path: str | os.PathLike) -> None:
    """Writes a figure with the job's title as a PNG file, atomically."""
    figure.suptitle(shown(job.title), parse_math=False)  # "$" may be in a name
    with atomic_path(path) as temporary:
        figure.savefig(temporary)
