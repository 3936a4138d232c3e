"""The times of a table's rows: their time step, gaps, and the times that follow."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.tables.times import written

if TYPE_CHECKING:
    import pandas as pd

SECOND = 10**9
_UNITS = {"s": SECOND, "ms": 10**6, "us": 10**3, "ns": 1}
_WORDS = {
    1: "nanosecond",
    10**3: "microsecond",
    10**6: "millisecond",
    SECOND: "second",
    60 * SECOND: "minute",
    3600 * SECOND: "hour",
    86400 * SECOND: "day",
    7 * 86400 * SECOND: "week",
}
_DAY = 86400 * SECOND


@dataclasses.dataclass(frozen=True)
class Clock:
    """The times of a table's rows, oldest first.

    Args:
        name: Heading of their column.
        times: Dates in datetime64[us]; or numbers, such as an index or years.
        form: Format of the dates; `s`, `ms`, `us` or `ns` for Unix time; None for
            numbers.
        step: Time step between rows: `("months", n)`, `("business days", 1)`,
            `("time", ns)` or `("number", x)`; None if no step is usual.
    """

    name: str
    times: np.ndarray
    form: str | None
    step: tuple[str, float] | None

    @classmethod
    def of(cls, name: str, times: Any, form: str | None) -> Clock:
        """A clock whose step is the most frequent one between two rows."""
        if form is None:
            return cls(name, times, form, _step_of_numbers(times))
        times = np.asarray(times).astype("datetime64[us]")
        return cls(name, times, form, _step_of_dates(times))

    @property
    def step_in_words(self) -> str:
        """The step in words, such as "1 day"."""
        if self.step is None:
            return "irregular"
        kind, size = self.step
        if kind == "number":
            return f"{size:.6g}"
        if kind == "months":
            kind, size = ("year", size // 12) if size % 12 == 0 else ("month", size)
        elif kind == "business days":
            kind = "business day"
        else:
            unit = max((u for u in _WORDS if size % u == 0), default=1)
            kind, size = _WORDS[unit], size // unit
        return f"{size:g} {kind}{'s' * (size != 1)}"

    @property
    def gaps(self) -> np.ndarray:
        """The rows before which other rows are missing."""
        return np.flatnonzero(self.steps_between() > 1.5) + 1

    def steps_between(self) -> np.ndarray:
        """The number of time steps between each row and the next."""
        if self.step is None:
            return np.ones(len(self.times) - 1)
        kind, size = self.step
        if kind == "months":
            return np.diff(_months(self.times)) / size
        if kind == "business days":
            days = self.times.astype("datetime64[D]")
            return np.busday_count(days[:-1], days[1:]).astype(float)
        if self.form is None:
            return np.diff(self.times) / size
        # Microseconds, which do not overflow.
        return np.diff(self.times.astype(np.int64)) * 1000.0 / size

    def after(self, count: int) -> np.ndarray:
        """The times of the rows that come next.

        Args:
            count: Number of rows.
        """
        return self._from(-1, np.arange(1, count + 1))

    def complete(self, at_most: int) -> np.ndarray | None:
        """The times of all rows, including missing ones; None if that fails.

        Args:
            at_most: Number of rows; if there would be more, that fails.

        Raises:
            OverflowError: If there are dates that nanoseconds cannot count.
        """
        if self.form is not None:
            years = self.times.astype("datetime64[Y]").astype(int) + 1970
            if years.min() < 1678 or years.max() > 2261:
                raise OverflowError("dates that are not from 1678 to 2261")
        steps = self.steps_between()
        if self.step is None or not np.allclose(steps, np.rint(steps), atol=1e-3):
            return None
        if steps.sum() + 1 > at_most:
            return None
        return self._from(0, np.arange(int(round(steps.sum())) + 1))

    def _from(self, place: int, counts: np.ndarray) -> np.ndarray:
        # pandas: put off.
        import pandas as pd

        begin = self.times[place] if self.form is None else _dates(self.times)[place]
        kind, size = self.step or ("rows", 1)
        if kind == "number":
            whole = float(size).is_integer() and float(begin).is_integer()
            return np.round(begin + counts * size, 0 if whole else 9)
        if kind == "months":
            at_end = _dates(self.times[:24]).is_month_end.all()
            times = [begin + pd.DateOffset(months=int(c * size)) for c in counts]
            if at_end:
                times = [time + pd.offsets.MonthEnd(0) for time in times]
            return _plain_dates(times)
        if kind == "business days":
            times = [begin + pd.offsets.BusinessDay(int(c)) for c in counts]
            return _plain_dates(times)
        if kind == "rows":
            size = float(np.median(np.diff(_plain(self.times)))) if counts.any() else 0
            if self.form is None:
                return begin + counts * size
        return _plain_dates(begin + pd.to_timedelta(counts * int(size), unit="ns"))

    def texts(self, times: np.ndarray) -> list[str]:
        """Formats times as in the table."""
        if self.form is None:
            return [f"{time:.12g}" for time in times]
        if self.form in _UNITS:
            values = _plain(times), _UNITS[self.form]
            whole = (values[0] % values[1] == 0).all()
            return [str(v // values[1] if whole else v / values[1]) for v in values[0]]
        return written(_dates(times), self.form)

    def seasons(self) -> list[int]:
        """Lengths of likely seasons, in time steps: a day, a week, a year."""
        if self.step is None:
            return []
        kind, size = self.step
        if kind == "months":
            return [int(12 // size)] if size < 12 and 12 % size == 0 else []
        if kind == "business days":
            return [5, 261]
        if kind == "number":
            return []
        lengths = [_DAY, 7 * _DAY, 365.25 * _DAY]
        return [round(length / size) for length in lengths if length >= 2 * size]

    def facts(self) -> dict[str, Any]:
        """Facts for a model's metadata."""
        return {
            "time": self.name,
            "step": self.step_in_words,
            "gaps": len(self.gaps),
            "first": self.texts(self.times[:1])[0],
            "last": self.texts(self.times[-1:])[0],
        }


def _dates(times: np.ndarray) -> pd.DatetimeIndex:
    """Converts times to a pandas `DatetimeIndex`, which knows months and weekdays."""
    # pandas: put off.
    import pandas as pd

    return pd.DatetimeIndex(times)


def _plain_dates(times: Any) -> np.ndarray:
    # pandas: put off.
    import pandas as pd

    return pd.DatetimeIndex(times).to_numpy().astype("datetime64[us]")


def _plain(times: np.ndarray) -> np.ndarray:
    """Times as numbers: for dates nanoseconds, which range from 1677 to 2262."""
    return times if times.dtype.kind != "M" else times.astype(np.int64) * 1000


def _months(times: np.ndarray) -> np.ndarray:
    return times.astype("datetime64[M]").astype(np.int64)


def _step_of_dates(times: np.ndarray) -> tuple[str, float] | None:
    if len(times) < 2:
        return None
    dates = _dates(times)
    months, often = _usual(np.diff(_months(times)))
    monthly = len(set(dates.day)) == 1 or dates.is_month_end.all()
    if monthly and months >= 1 and often >= 0.5:
        return "months", int(months)
    step, often = _usual(np.diff(_plain(times)))
    working = step == _DAY and (dates == dates.normalize()).all()
    if working and (dates.day_of_week < 5).all() and len(times) > 5:
        return "business days", 1
    return ("time", int(step)) if often >= 0.5 else None


def _step_of_numbers(times: np.ndarray) -> tuple[str, float] | None:
    if len(times) < 2:
        return None
    # Rounding errors make equal steps differ in their last digits.
    step, often = _usual(np.round(np.diff(times), 9))
    if often >= 0.5:
        return "number", step
    middle = float(np.median(np.diff(times)))
    even = np.abs(np.diff(times) / middle - 1).max() < 0.2
    return ("number", middle) if even else None


def _usual(steps: np.ndarray) -> tuple[float, float]:
    """The most frequent step, and its fraction of all steps."""
    values, counts = np.unique(steps, return_counts=True)
    best = counts.argmax()
    return float(values[best]), counts[best] / len(steps)
