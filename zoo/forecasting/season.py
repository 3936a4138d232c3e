"""Finds the season of a series from its autocorrelation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CLEAR = 0.25  # the least autocorrelation of a season
BETTER = 0.05  # by how much another season must beat a usual one
NEAR = 0.1  # below the best: two seasons can correlate better than one by chance


def find_season(values: np.ndarray, usual: Sequence[int] = ()) -> int:
    """The number of timesteps after which a series repeats itself best.

    The autocorrelation, without the trend and averaged over the columns, must have a
    peak there: higher than its neighbours, well above the minimum before it, and clear.
    The series must be at least two seasons long.

    Args:
        values: `(timesteps, columns)` of the training part.
        usual: Likely seasons, such as 24 for hours. One of them is preferred to any
            other peak that is not clearly higher.

    Returns:
        The season; 1 if there is none.

    Example:
        from zoo.forecasting.season import find_season

        days = np.arange(700.0)[:, None]
        assert find_season(np.sin(2 * np.pi * days / 7) + 0.01 * days) == 7
        assert find_season(days) == 1
    """
    # If there are thousands of columns, a hundred are enough.
    values = values[:, :: max(1, values.shape[1] // 100)]
    like = _autocorrelation(values)
    longest = len(values) // 2
    found = {s: like[s] for s in _peaks(like) if s <= longest}
    likely = {s: like[s] for s in usual if 2 <= s <= longest and _is_peak(like, s)}
    best = max(found.values(), default=0.0)
    if likely and max(likely.values()) >= best - BETTER:
        found, best = likely, max(likely.values())
    # The shortest of those that are about as good: 12, not 24.
    return min((s for s, value in found.items() if value >= best - NEAR), default=1)


def _autocorrelation(values: np.ndarray) -> np.ndarray:
    """Autocorrelation without the trend, averaged over the columns."""
    steps = np.arange(len(values), dtype=float)
    design = np.stack([np.ones_like(steps), steps, steps**2], axis=1)
    design /= np.abs(design).max(axis=0)
    rest = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    size = 2 ** int(np.ceil(np.log2(2 * len(rest))))
    power = np.abs(np.fft.rfft(rest, size, axis=0)) ** 2
    sums = np.fft.irfft(power, size, axis=0)[: len(rest)]
    # Unbiased: each lag is averaged over its own number of pairs.
    like = sums / (len(rest) - steps[:, None])
    varied = like[0] > 1e-12
    like = like[:, varied] / like[0, varied]
    return like.mean(axis=1) if varied.any() else np.zeros(len(rest))


def _peaks(like: np.ndarray) -> list[int]:
    inner = like[1:-1]
    tops = np.flatnonzero((inner >= like[:-2]) & (inner >= like[2:])) + 1
    return [int(place) for place in tops if place >= 2 and _is_peak(like, int(place))]


def _is_peak(like: np.ndarray, place: int) -> bool:
    near = max(1, place // 6)
    around = like[max(1, place - near) : place + near + 1]
    # A tolerance, as for a year of 365 days the maximum may be at 363.
    highest = like[place] >= around.max() - 0.02
    between = like[1:place].min(initial=like[place])
    return bool(like[place] > CLEAR and highest and like[place] - between > 0.15)
