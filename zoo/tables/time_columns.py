"""Finds the column of a table that holds times, and those that only count rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.system.errors import UserError
from zoo.tables.clock import Clock
from zoo.tables.times import format_of, parsed, parsed_in_part

if TYPE_CHECKING:
    import pandas as pd

_NAMES = ("time", "date", "stamp", "unix", "epoch", "year", "month", "day", "hour")
_UNIX = {"s": (1e8, 1e10), "ms": (1e11, 1e13), "us": (1e14, 1e16), "ns": (1e17, 1e19)}


def clock_of_texts(
    name: str, texts: pd.Series, lines: Sequence[int], *, must: bool = False
) -> Clock | None:
    """The clock of a text column, if its values are dates.

    Args:
        name: Heading of the column.
        texts: Values, a pandas `Series`, NaN where one is missing.
        lines: Line number of each value in the file.
        must: Whether to refuse a column that does not hold dates.

    Raises:
        UserError: If only some of its values are dates.
    """
    known = texts[texts.notna()]
    form = format_of(list(known.astype(str))) if len(known) else None
    if form is None:
        if must:
            shown = known.iloc[0] if len(known) else "nothing"
            raise UserError(
                f"`--time {name}` names a column whose values cannot be read as times, "
                f"such as {str(shown)[:40]!r} in line {lines[0]}."
            )
        return None
    times: Any = parsed_in_part(texts.fillna("").astype(str), form)
    wrong = np.flatnonzero(times.isna())
    if len(wrong):
        value = texts.iloc[wrong[0]]
        shown = "is missing" if value != value else f"is {str(value)[:40]!r}"
        raise UserError(
            f"`--data` has times that cannot be read: column {name!r}, line "
            f"{lines[wrong[0]]} {shown}. Mend it, or add `--time none`."
        )
    return Clock.of(name, times, form)


def clock_of_numbers(
    name: str, values: np.ndarray, *, first: bool = False
) -> Clock | None:
    """The clock of a column of numbers that are years, days, Unix times or an index.

    Args:
        name: Heading of the column.
        values: Values in float64, without gaps.
        first: Whether it is the table's first column, where an index may have any
            step; elsewhere an index must count in ones.
    """
    if len(values) < 3 or not np.isfinite(values).all():
        return None
    steps = np.diff(values)
    one_way = (steps > 0).all() or (steps < 0).all()
    named = is_named(name)
    whole = (values == np.rint(values)).all()
    low, high = values.min(), values.max()
    _, counts = np.unique(steps, return_counts=True)
    even = counts.max() >= 0.5 * len(steps)
    if whole and low >= 150001 and high <= 99991231:
        form = "%Y%m%d" if low >= 15000101 else "%Y%m" if high <= 299912 else None
        texts = [f"{value:.0f}" for value in values] if form else []
        times = parsed(texts, form) if form and (one_way or named) else None
        if times is not None:
            clock = Clock.of(name, times, form)
            if clock.step is not None or named:
                return clock
    for unit, (least, most) in _UNIX.items():
        if least <= low and high < most and (one_way and even or named):
            # pandas: put off.
            import pandas as pd

            exact = (values * {"s": 1e3}.get(unit, 1)).astype(np.int64)
            stamps = pd.to_datetime(exact, unit="ms" if unit == "s" else unit)
            return Clock.of(name, pd.DatetimeIndex(stamps), unit)
    # Steps may be rounded, such as hundredths of a year.
    nearly = np.ptp(steps) < 1e-6 * np.abs(steps).max()
    nearly = nearly and (first or named or whole and abs(steps[0]) == 1)
    years = low >= 1500 and high <= 2200 and is_named(name)
    if one_way and (nearly or years and (even or np.abs(steps).max() < 0.2)):
        return Clock.of(name, values, None)
    return None


def is_named(name: str) -> bool:
    """Whether a heading is a name for times."""
    return any(word in name.lower() for word in _NAMES)
