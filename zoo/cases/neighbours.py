"""Nearest-neighbour classification, a baseline for classifiers."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

# The most cells of all alignments, about 5 to 10 seconds; with more, dynamic time
# warping is left out.
MOST_CELLS = 4e8
BAND = 0.1  # as a fraction of the length
POINTS = 512  # the most timesteps of a series that is compared
NUMBERS = 25_000_000  # the most numbers in all series together


def nearest_neighbour(
    known: list[np.ndarray], labels: np.ndarray, asked: list[np.ndarray]
) -> np.ndarray:
    """Labels of the nearest known series by Euclidean distance.

    Each series is resampled linearly to the length of the longest known one, but at
    most to 512 timesteps.

    Args:
        known: Series `(timesteps, channels)`.
        labels: Their classes, `(n,)`.
        asked: Series to classify.

    Returns:
        Classes `(len(asked),)`.
    """
    length = _common_length(known, asked)
    a, b = (
        np.stack([alike(s, length) for s in part]).reshape(len(part), -1)
        for part in (asked, known)
    )
    pieces = np.array_split(a, -(-len(a) // 1000))
    return labels[np.concatenate([_distances(p, b).argmin(axis=1) for p in pieces])]


def nearest_warped(
    known: list[np.ndarray], labels: np.ndarray, asked: list[np.ndarray]
) -> np.ndarray | None:
    """Labels of the nearest known series by dynamic time warping.

        D(i, j) = |a_i - b_j|^2 + min(D(i-1, j), D(i, j-1), D(i-1, j-1)),
        |i - j| <= 10 % of the length

    on series resampled as in `nearest_neighbour`, with all channels warped together.

    Args:
        known: Series `(timesteps, channels)`.
        labels: Their classes, `(n,)`.
        asked: Series to classify.

    Returns:
        Classes `(len(asked),)`, or None if it would take too long.
    """
    length = _common_length(known)
    band = max(1, int(BAND * length))
    channels = known[0].shape[1]
    cells = len(known) * len(asked) * length * (2 * band + 1) * (1 + channels / 4)
    if cells > MOST_CELLS:
        return None
    b = np.stack([alike(s, length) for s in known])
    nearest = [np.argmin(_warped(alike(s, length), b, band)) for s in asked]
    return labels[np.array(nearest, int)]


def own_accuracy(known: list[np.ndarray], labels: np.ndarray) -> float:
    """The fraction of series whose nearest other series has the same class.

    Args:
        known: Series `(timesteps, channels)`.
        labels: Their classes, `(n,)`.
    """
    length = _common_length(known)
    flat = np.stack([alike(s, length) for s in known]).reshape(len(known), -1)
    distances = _distances(flat, flat)
    np.fill_diagonal(distances, np.inf)
    return float((labels[np.argmin(distances, axis=1)] == labels).mean())


def alike(series: np.ndarray, length: int) -> np.ndarray:
    """Resamples a series at evenly spaced times.

    Args:
        series: `(timesteps, channels)`.
        length: Number of timesteps of the result.
    """
    places = np.linspace(0, len(series) - 1, length)
    times = np.arange(len(series))
    stretched = [np.interp(places, times, channel) for channel in series.T]
    return np.stack(stretched, axis=1).astype(np.float32)


def standardised(series: np.ndarray) -> np.ndarray:
    """Scales each channel to mean 0 and deviation 1; a constant one becomes 0.

    Args:
        series: `(timesteps, channels)`.
    """
    series = np.asarray(series, float)
    # Values near the largest float would overflow when squared.
    scale = np.maximum(np.abs(series).max(axis=0), np.finfo(float).tiny)
    series = series / scale
    deviation = series.std(axis=0)
    # Rounding leaves a constant channel with a deviation of about 1e-17.
    flat = deviation < 1e-7
    return np.where(
        flat, 0, (series - series.mean(axis=0)) / np.where(flat, 1, deviation)
    )


def _common_length(
    known: Sequence[np.ndarray], asked: Sequence[np.ndarray] = ()
) -> int:
    size = known[0].shape[1] * (len(known) + len(asked))
    return min(POINTS, max(map(len, known)), max(2, NUMBERS // size))


def _distances(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Squared distances `(len(a), len(b))`."""
    squares = [(x * x).sum(axis=1) for x in (a, b)]
    return squares[0][:, None] + squares[1] - 2 * a @ b.T


def _warped(a: np.ndarray, b: np.ndarray, band: int) -> np.ndarray:
    """Costs of the best alignments of `a` `(length, channels)` and each of `b`.

    The cells on an antidiagonal i + j = s are independent, so all of them, for all of
    `b`, are computed in one operation.
    """
    n, length = len(b), len(a)
    # Indexed by i, with an extra first cell for the outside.
    before = np.full((n, length + 1), np.inf, np.float32)  # of antidiagonal s - 2
    last = before.copy()
    for s in range(2 * length - 1):
        low = max(0, s - length + 1, -(-(s - band) // 2))
        high = min(s, length - 1, (s + band) // 2)
        i = slice(low, high + 1)
        theirs = b[:, s - high : s - low + 1][:, ::-1]
        cost = ((theirs - a[i]) ** 2).sum(axis=2)
        fresh = np.full_like(last, np.inf)
        best: np.ndarray | int = 0
        if s == 0:
            best = 0
        else:
            # (i-1, j) and (i, j-1) lie on the last antidiagonal, (i-1, j-1) before.
            best = np.minimum(last[:, low : high + 1], last[:, low + 1 : high + 2])
            best = np.minimum(best, before[:, low : high + 1])
        fresh[:, low + 1 : high + 2] = cost + best
        before, last = last, fresh
    return last[:, length]
