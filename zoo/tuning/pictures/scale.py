"""The axis of the objective in plots of a tuning job: range, scale and ticks."""

from __future__ import annotations

import dataclasses
import math

import numpy as np

from zoo.tuning.job import Job

FAR = 8.0  # times the spread of better values: values farther off are outside the axis
DECADES = 2.0  # spread of positive values from which the axis is logarithmic
ROOM = 1.5  # times the spread of the values: levels farther off are not shown


@dataclasses.dataclass(frozen=True)
class Scale:
    """The range and scale of an axis of the objective.

    Args:
        low: Lowest value on the axis.
        high: Highest value on the axis.
        log: Whether the axis is logarithmic.
    """

    low: float
    high: float
    log: bool = False

    def place(self, value: float) -> float:
        """The value, or the end of the axis if it lies beyond."""
        return min(max(value, self.low), self.high)

    def inside(self, value: float) -> bool:
        """Whether the value lies within the axis."""
        room = 1e-9 * max(abs(self.low), abs(self.high))  # for rounding errors
        return self.low - room <= value <= self.high + room

    def fraction(self, value: float) -> float:
        """The position of a value between `low` (0) and `high` (1)."""
        low, high = _on(self.log, self.low), _on(self.log, self.high)
        return (_on(self.log, self.place(value)) - low) / (high - low)

    def at(self, fraction: float) -> float:
        """The value at a position, which may lie beyond the ends."""
        low, high = _on(self.log, self.low), _on(self.log, self.high)
        there = low + fraction * (high - low)
        return 10**there if self.log else there


def scale_of(job: Job) -> Scale:
    """The axis of a job's objective.

    Values that are far worse than all better ones, such as those of trainings that
    diverged, lie beyond its end: they would compress the others. Values over several
    powers of ten get a logarithmic axis. Baselines are shown unless they are too far
    off.

    Args:
        job: The job. Without values its axis goes from 0 to 1.
    """
    values = [trial.reached for trial in job.trials if trial.measured]
    if not values:
        values = [v for v in job.references.values() if math.isfinite(v)] or [0.0, 1.0]
    log = min(values) > 0 and not job.higher
    if log:
        inside = _together(np.log10(values), 1.0)
        log = bool(np.ptp(inside) > DECADES)
    if not log:
        sign = -1.0 if job.higher else 1.0
        badness = sign * np.asarray(values)
        inside = sign * _together(badness, abs(min(badness)))
    low, high = float(min(inside)), float(max(inside))
    spread = high - low
    if spread == 0:
        spread = 1.0 if log else 0.3 * abs(low) or 1.0
    levels = [
        _on(log, v)
        for v in job.references.values()
        if math.isfinite(v) and (v > 0 or not log)
    ]
    near = [v for v in levels if low - ROOM * spread <= v <= high + ROOM * spread]
    low, high = min([low, *near]), max([high, *near])
    if high == low:
        low, high = low - spread / 6, high + spread / 6
    return Scale(10**low, 10**high, True) if log else Scale(low, high)


def log_ticks(low: float, high: float, *, powers_of_two: bool = False) -> list[float]:
    """Three to seven round numbers for a logarithmic axis.

    Args:
        low: Lower end, > 0.
        high: Upper end.
        powers_of_two: Whether the ticks are powers of two.
    """
    if powers_of_two:
        first, last = math.ceil(math.log2(low)), math.floor(math.log2(high))
        return [2**k for k in range(first, last + 1, (last - first) // 7 + 1)]
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for steps in ((1,), (1, 3), (1, 2, 5), range(1, 10)):
        ticks = [m * 10.0**k for k in range(first, last + 1) for m in steps]
        ticks = [t for t in ticks if low * (1 - 1e-9) <= t <= high * (1 + 1e-9)]
        if len(ticks) >= 3:
            return ticks[:: (len(ticks) - 1) // 7 + 1]
    return [low, high]


def is_power_of_two(value: float) -> bool:
    """Whether the value is an integer power of two."""
    return isinstance(value, int) and value > 0 and value & (value - 1) == 0


def _together(badness: np.ndarray, near: float) -> np.ndarray:
    """The values, except those that are far worse than all better ones.

    Values that differ from the best by at most `near` are kept.
    """
    badness = np.sort(badness)
    count = max(1, len(badness) // 4)
    best = badness[0]
    for value in badness[count:]:
        off = value - best
        if off > max(near, FAR * (badness[count - 1] - best)):
            break
        count += 1
    return badness[:count]


def _on(log: bool, value: float) -> float:
    return math.log10(value) if log else value
