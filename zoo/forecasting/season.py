"""The season of a series, found in its autocorrelation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

CLEAR = 0.25  # autocorrelation that a season must have
BETTER = 0.05  # by which another season must beat a usual one
NEAR = 0.1  # of the best: so like itself is a series after two seasons, too, by chance


def find_season(values: np.ndarray, usual: Sequence[int] = ()) -> int:
    """Timesteps after which a series is most like itself.

    The autocorrelation, without the trend and averaged over the columns, must have a
    peak there: be higher than nearby, well above what lies between, and clear. A season
    must fit twice.

    Args:
        values: `(timesteps, columns)`, those that may be learned from.
        usual: Seasons that are likely, such as 24 for hours. One of them is preferred
            to any other peak that is not clearly higher.

    Returns:
        The season; 1 if there is none.

    Example:
        from zoo.forecasting.season import find_season

        days = np.arange(700.0)[:, None]
        assert find_season(np.sin(2 * np.pi * days / 7) + 0.01 * days) == 7
        assert find_season(days) == 1
    """
    # Of thousands of columns, a hundred say enough.
    values = values[:, :: max(1, values.shape[1] // 100)]
    like = _autocorrelation(values)
    longest = len(values) // 2
    found = {s: like[s] for s in _peaks(like) if s <= longest}
    likely = {s: like[s] for s in usual if 2 <= s <= longest and _is_peak(like, s)}
    best = max(found.values(), default=0.0)
    if likely and max(likely.values()) >= best - BETTER:
        found, best = likely, max(likely.values())
    # The shortest of those that are as good: 12, not 24.
    return min((s for s, value in found.items() if value >= best - NEAR), default=1)


def _autocorrelation(values: np.ndarray) -> np.ndarray:
    """Of each column without its trend, the mean over the columns."""
    steps = np.arange(len(values), dtype=float)
    design = np.stack([np.ones_like(steps), steps, steps**2], axis=1)
    design /= np.abs(design).max(axis=0)
    rest = values - design @ np.linalg.lstsq(design, values, rcond=None)[0]
    size = 2 ** int(np.ceil(np.log2(2 * len(rest))))
    power = np.abs(np.fft.rfft(rest, size, axis=0)) ** 2
    sums = np.fft.irfft(power, size, axis=0)[: len(rest)]
    # Unbiased: a sum over few pairs is not small by itself.
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
    # A year has 365 days and the highest is the 363rd: near enough.
    highest = like[place] >= around.max() - 0.02
    between = like[1:place].min(initial=like[place])
    return bool(like[place] > CLEAR and highest and like[place] - between > 0.15)
