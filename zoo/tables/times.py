"""Finds the format of a column of dates, and parses and writes dates."""

from __future__ import annotations

import calendar
import datetime
import functools
import itertools
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd

_DAYS = ("%Y-%m-%d", "%Y/%m/%d", "%Y.%m.%d", "%d.%m.%Y", "%m/%d/%Y", "%d/%m/%Y")
_MORE_DAYS = ("%d-%m-%Y", "%m-%d-%Y", "%d.%m.%y", "%m/%d/%y", "%d/%m/%y")
_NAMED = ("%d-%b-%Y", "%d %b %Y", "%d-%b-%y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y")
_CLOCKS = ("%H:%M:%S", "%H:%M", "%H:%M:%S.%f", "%I:%M %p", "%I:%M:%S %p", "%H")
_MONTHS = ("%Y-%m", "%Y/%m", "%Y.%m", "%Ym%m", "%YM%m", "%m/%Y", "%m-%Y", "%m.%Y")
_NAMED_MONTHS = ("%b %Y", "%b-%Y", "%b-%y", "%B %Y", "%Y %b", "%Y-%b")
_ISO = (
    "%Y-%m-%dT%H:%M:%S",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%dT%H:%M:%S.%f",
    "%Y-%m-%dT%H:%M:%SZ",
    "%Y-%m-%dT%H:%M:%S.%fZ",
    "%Y-%m-%dT%H:%M:%S%z",
    "%Y-%m-%d %H:%M:%S%z",
    "%Y%m%d %H:%M",
    "%Y%m%d%H%M",
    "%Y%m%d",
)
FORMATS = (
    *_DAYS,
    *(f"{day} {clock}" for day, clock in itertools.product(_DAYS, _CLOCKS)),
    *_ISO,
    *_MORE_DAYS,
    *(f"{day} {clock}" for day, clock in itertools.product(_MORE_DAYS, _CLOCKS[:2])),
    *_NAMED,
    *_MONTHS,
    *_NAMED_MONTHS,
)
LONGEST = 40  # the most characters of a date
_WORDS = {"t", "z", "m", "am", "pm"} | {
    name[:length].lower()
    for name in calendar.month_name[1:]
    for length in (3, len(name))
}


def format_of(values: Sequence[str]) -> str | None:
    """Finds the date format of a column.

    Args:
        values: Texts, none of them missing.

    Returns:
        A format for `strptime`, or None. If days and months can be swapped, the format
        whose dates have more even steps; the first in `FORMATS` if neither has.
    """
    head = [value.strip() for value in values[:20]]
    if not head or not all(_like_a_date(value) for value in head):
        return None
    fitting = [f for f in _formats_like(head[0]) if parsed(head, f) is not None]
    whole = [(f, parsed(values, f)) for f in fitting]
    whole = [(f, times) for f, times in whole if times is not None]
    if not whole:
        # Some values are not dates: the column is meant as dates, and an error will
        # show them.
        return fitting[0] if fitting and len(head) == 20 else None
    return max(whole, key=lambda pair: _evenness(pair[1]))[0]


def parsed(values: Sequence[str], form: str) -> pd.DatetimeIndex | None:
    """Parses values to a pandas `DatetimeIndex`; None if one does not fit the format.

    Dates with an offset from UTC are converted to UTC.
    """
    times = parsed_in_part(values, form)
    return None if times is None or times.hasnans else times


def parsed_in_part(values: Sequence[str], form: str) -> pd.DatetimeIndex | None:
    """Like `parsed`, but with NaT for values that are not dates; None if none is."""
    # pandas: put off.
    import pandas as pd

    # `strptime` accepts two-digit years for %Y and is lax about spaces.
    texts = pd.Index([str(value).strip()[:LONGEST] for value in values])
    try:
        times = pd.to_datetime(
            texts, format=form, errors="coerce", utc=True if "%z" in form else None
        )
    except (ValueError, OverflowError):
        return None
    if times.isna().all():
        return None
    return times.tz_convert(None) if times.tz is not None else times


def written(times: pd.DatetimeIndex, form: str) -> list[str]:
    """Formats dates.

    Args:
        times: A pandas `DatetimeIndex`.
        form: A format that `format_of` returned.
    """
    form = form.replace("%z", "+00:00")
    if form.endswith("%f") or form.endswith("%fZ"):
        # Three digits after the second, as in most files.
        texts = times.strftime(form.replace("%f", "%f000"))
        return [re.sub(r"(\.\d{3})\d{6}", r"\1", text) for text in texts]
    return list(times.strftime(form))


def _like_a_date(text: str) -> bool:
    """A quick first test, as most text columns are not dates and formats are many."""
    words = re.findall(r"[^\W\d]+", text)
    return (
        6 <= len(text) <= LONGEST
        and sum(c.isdigit() for c in text) >= 2
        and all(word.lower() in _WORDS for word in words)
        and bool(words or re.search(r"\d\D+\d", text) or len(text) == 8)
    )


def _formats_like(text: str) -> list[str]:
    """The formats whose dates have the signs of a text, since trying each is slow."""
    signs = _signs(text)
    return [
        form
        for form, known in _signs_of_formats()
        # How an offset from UTC is written varies.
        if signs == known or (form.endswith("%z") and signs.startswith(known))
    ]


@functools.cache
def _signs_of_formats() -> list[tuple[str, str]]:
    # Without an offset, which makes `%z` empty.
    moment = datetime.datetime(2001, 10, 12, 11, 13, 14)
    return [(form, _signs(moment.strftime(form))) for form in FORMATS]


def _signs(text: str) -> str:
    """A text without spaces, each number and each word as one letter."""
    found = re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "1", text))
    return "".join(found.split())


def _evenness(times: pd.DatetimeIndex) -> float:
    """The fraction of steps that are the most frequent one."""
    if len(times) < 3:
        return 0.0
    steps = np.diff(times.to_numpy().astype("datetime64[s]").astype(np.int64))
    _, counts = np.unique(steps, return_counts=True)
    return counts.max() / len(steps)
