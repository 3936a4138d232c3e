"""Ridge regression on past values: a simple forecast that is hard to beat."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any, cast

import numpy as np

from zoo.forecasting.rules import ahead

LAGS = (4, 12, 24, 48, 96, 192)
# In units of the mean eigenvalue of the features' Gram matrix.
PENALTIES = (10.0, 1.0, 1e-1, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6)
SEASONS = 8  # the most seasons that are averaged
MARGIN = 7  # timesteps of a past season before and after those to forecast
MOST_WEIGHTS = 60_000  # which a preset holds as text
MOST_OWN = 30  # the most columns with separate regressions
CHUNK = 4096  # timesteps that are processed together
# Timesteps over all columns: to choose the settings, and to fit the chosen ones.
TO_CHOOSE, TO_FIT = 40_000, 100_000


@dataclasses.dataclass(frozen=True)
class Ridge:
    """Linear forecasts of each column from its own past.

        f(t + k) = a(t) + sum_i w_ik (x_i(t) - a(t)) + b_k,    k = 1 ... horizon

    where x(t) are the last `lags` values and, with `season` > 1, the means of the same
    timesteps in the last `seasons` seasons; the anchor a(t) is the last value or 0, the
    mean of the training part. Without weights the forecast is the anchor.

    Args:
        lags: Number of past values to read.
        season: Timesteps of a season; 1: no season is read.
        seasons: Number of seasons to average.
        anchor: "last" or "mean".
        weights: `(columns or 1, features + 1, horizon)`, the last feature a 1; one set
            for all columns, or one for each.
    """

    lags: int
    season: int
    seasons: int
    anchor: str
    weights: np.ndarray

    def forecast(self, known: np.ndarray, places: np.ndarray) -> np.ndarray:
        """Forecasts from the given timesteps.

        Args:
            known: Standardised values `(timesteps, columns)`.
            places: Timesteps t, `(n,)`.

        Returns:
            `(n, horizon, columns)`.
        """
        columns, horizon = known.shape[1], self.weights.shape[2]
        found = np.empty((len(places), horizon, columns))
        spread = np.broadcast_to(self.weights, (columns, *self.weights.shape[1:]))
        for column, start in itertools.product(
            range(columns), range(0, len(places), CHUNK)
        ):
            part = slice(start, start + CHUNK)
            x, anchor = features(known[:, column], places[part], self, horizon)
            found[part, :, column] = x @ spread[column] + anchor[:, None]
        return found

    def to_json(self) -> dict[str, Any]:
        """Plain values, with weights rounded to six digits."""
        rounded = [
            [[float(f"{value:.6g}") for value in row] for row in rows]
            for rows in self.weights
        ]
        return {**dataclasses.asdict(self), "weights": rounded}

    @classmethod
    def from_json(cls, value: dict[str, Any], columns: int, horizon: int) -> Ridge:
        """Reads what `to_json` returned.

        Raises:
            ValueError: If it is invalid, or for different columns.
        """
        try:
            weights = np.array(value["weights"], float)
            ridge = cls(**{**value, "weights": weights})
            counts = ridge.lags, ridge.season, ridge.seasons
            whole = all(type(n) is int and 0 <= n < 10**6 for n in counts)
            shapes = [(n, ridge.size(horizon), horizon) for n in (1, columns)]
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(f"no ridge regression: {error}") from None
        if not whole or ridge.season < 1 or ridge.anchor not in ("last", "mean"):
            raise ValueError("no ridge regression: it has other settings")
        if weights.shape not in shapes or not np.isfinite(weights).all():
            raise ValueError("no ridge regression: it has other weights")
        return ridge

    def size(self, horizon: int) -> int:
        """Number of features, including the constant 1."""
        return self.lags + (horizon + 2 * MARGIN if self.season > 1 else 0) + 1


def features(
    known: np.ndarray, places: np.ndarray, ridge: Ridge, horizon: int
) -> tuple[np.ndarray, np.ndarray]:
    """The features of a regression at the given timesteps.

    Args:
        known: Values of a column, `(timesteps,)`.
        places: Timesteps, `(n,)`.
        ridge: Determines the features; its weights are not used.
        horizon: Timesteps that are forecast.

    Returns:
        `(features (n, features + 1), anchor (n,))`.
    """
    # Values before the first timestep equal the first one.
    back = places[:, None] - np.arange(ridge.lags)
    blocks = [known[np.maximum(back, 0)]]
    if ridge.season > 1:
        blocks.append(_seasonal_means(known, places, ridge, horizon))
    anchor = known[places] if ridge.anchor == "last" else np.zeros(len(places))
    blocks = [block - anchor[:, None] for block in blocks]
    return np.concatenate([*blocks, np.ones((len(places), 1))], axis=1), anchor


def _seasonal_means(
    known: np.ndarray, places: np.ndarray, ridge: Ridge, horizon: int
) -> np.ndarray:
    steps = np.arange(1 - MARGIN, horizon + MARGIN + 1)
    first = np.maximum(-(-steps // ridge.season), 1)
    total = np.zeros((len(places), len(steps)))
    count = np.zeros_like(total)
    for turn in range(ridge.seasons):
        there = places[:, None] + steps - (first + turn) * ridge.season
        # Where no season is known, use the first value.
        seen = (there >= 0) | (turn == 0)
        total += np.where(seen, known[np.maximum(there, 0)], 0)
        count += seen
    return total / count


def fit_ridge(
    known: np.ndarray, ends: tuple[int, int], horizon: int, season: int
) -> Ridge:
    """Fits a regression to the training part.

    The squared error on the validation part selects lags, season, anchor, penalty, and
    whether columns share their weights. The result is the anchor alone unless the
    regression is better by more than chance (see `is_clearly_better`).

    Args:
        known: Standardised values `(timesteps, columns)`.
        ends: Timesteps where the training and the validation part end.
        horizon: Timesteps that are forecast.
        season: Timesteps of a season; 1: none.
    """
    columns = known.shape[1]
    # If there are thousands of columns, a hundred are enough.
    some = known[:, :: max(1, columns // 100)]
    places = _thinned(np.arange(ends[0] - 1, ends[1] - horizon), some)
    best: tuple[Ridge, bool, int] | None = None
    least = np.inf
    for ridge in _candidates(columns, ends[0], horizon, season):
        for own, sets in _fits(some, ends[0], ridge, horizon, TO_CHOOSE, columns):
            errors = _errors(some, places, ridge, horizon, sets)
            place = int(errors.argmin())
            if errors[place] < least:
                best, least = (ridge, own, place), errors[place]
    ridge, own, place = cast("tuple[Ridge, bool, int]", best)
    fits = dict(_fits(known, ends[0], ridge, horizon, TO_FIT, columns))
    found = dataclasses.replace(ridge, weights=fits[own][place])
    places = _thinned(np.arange(ends[0] - 1, ends[1] - horizon), known)
    y = ahead(known, places, horizon)
    ours = _by_time(found, known, places, y)
    alone = [_anchor(kind, horizon) for kind in ("last", "mean")]
    simple = {i: _by_time(ridge, known, places, y) for i, ridge in enumerate(alone)}
    simplest = min(simple, key=lambda i: simple[i].mean())
    if is_clearly_better(ours, simple[simplest], places, horizon):
        return found
    return alone[simplest]


def is_clearly_better(
    ours: np.ndarray, simple: np.ndarray, places: np.ndarray, horizon: int
) -> bool:
    """Whether one forecast beats a simpler one by more than two standard errors.

    Errors of neighbouring timesteps are correlated, so `horizon` timesteps count as one
    sample. Fewer than four samples give no standard error: then the gain must be a
    fifth.

    Args:
        ours: Squared error after each timestep, `(n,)`.
        simple: The squared errors of the simpler forecast, `(n,)`.
        places: The timesteps.
        horizon: Timesteps that are forecast.
    """
    gains = simple - ours
    block = (places - places[0]) // horizon
    means = np.bincount(block, gains) / np.maximum(np.bincount(block), 1)
    means = means[np.bincount(block) > 0]
    if len(means) < 4:
        return gains.mean() > 0.2 * simple.mean()
    return means.mean() > 2 * means.std(ddof=1) / np.sqrt(len(means))


def _anchor(kind: str, horizon: int) -> Ridge:
    """An anchor without regression: the last value or the training mean."""
    return Ridge(1, 1, 1, kind, np.zeros((1, 2, horizon)))


def _by_time(
    ridge: Ridge, known: np.ndarray, places: np.ndarray, y: np.ndarray
) -> np.ndarray:
    return ((ridge.forecast(known, places) - y) ** 2).mean(axis=(1, 2))


def _thinned(
    places: np.ndarray, known: np.ndarray, budget: int = TO_CHOOSE
) -> np.ndarray:
    """Evenly spaced timesteps, few enough for all columns to fit into a budget."""
    return places[:: max(1, -(-len(places) * known.shape[1] // budget))]


def _candidates(columns: int, end: int, horizon: int, season: int) -> Iterator[Ridge]:
    """Settings for which the training part is long enough, fewest features first."""
    rows = end - horizon
    for lags in LAGS:
        for with_season in (False, True) if season > 1 else (False,):
            seasons = min(SEASONS, max(1, end // season - 1)) if with_season else 1
            ridge = Ridge(
                lags, season if with_season else 1, seasons, "last", np.zeros(())
            )
            size = ridge.size(horizon)
            left = rows - max(lags, season if with_season else 0)
            least = lags == LAGS[0] and not with_season
            if (
                least
                or left >= max(8, min(2 * size, 0.6 * rows))
                and (size * horizon <= MOST_WEIGHTS)
            ):
                for anchor in ("last", "mean"):
                    yield dataclasses.replace(ridge, anchor=anchor)


def _fits(
    known: np.ndarray,
    end: int,
    ridge: Ridge,
    horizon: int,
    budget: int,
    columns: int,
) -> Iterator[tuple[bool, list[np.ndarray]]]:
    """Weights for each penalty: `(own, [(sets, features, horizon), ...])`.

    For all columns together, and for each separately if there are few.
    """
    first = max(ridge.lags - 1, ridge.season if ridge.season > 1 else 0)
    places = np.arange(min(first, max(0, end - horizon - 2)), end - horizon)
    places = _thinned(places, known, budget)
    size = ridge.size(horizon)
    sums = np.zeros((known.shape[1], size, size + horizon))
    for column, start in itertools.product(
        range(known.shape[1]), range(0, len(places), CHUNK)
    ):
        part = places[start : start + CHUNK]
        x, anchor = features(known[:, column], part, ridge, horizon)
        y = ahead(known[:, [column]], part, horizon)[..., 0] - anchor[:, None]
        sums[column] += x.T @ np.concatenate([x, y], axis=1)
    yield False, _solutions(sums.sum(axis=0, keepdims=True), size)
    if 1 < columns <= MOST_OWN and columns * size * horizon <= MOST_WEIGHTS:
        yield True, _solutions(sums, size)


def _solutions(sums: np.ndarray, size: int) -> list[np.ndarray]:
    """Weights `(sets, features, horizon)` for each penalty, the largest first."""
    values, vectors = np.linalg.eigh(sums[:, :, :size])
    products = vectors.swapaxes(1, 2) @ sums[:, :, size:]
    mean = np.maximum(values.mean(axis=1), 1e-12)[:, None]
    shrunk = (np.maximum(values, 0) + p * mean for p in PENALTIES)
    # An infinite penalty leaves only the anchor.
    return [
        np.zeros_like(products),
        *(vectors @ (products / values[..., None]) for values in shrunk),
    ]


def _errors(
    known: np.ndarray,
    places: np.ndarray,
    ridge: Ridge,
    horizon: int,
    fits: list[np.ndarray],
) -> np.ndarray:
    """Mean squared error for each penalty."""
    found = np.zeros(len(fits))
    for column, start in itertools.product(
        range(known.shape[1]), range(0, len(places), CHUNK)
    ):
        part = places[start : start + CHUNK]
        x, anchor = features(known[:, column], part, ridge, horizon)
        y = ahead(known[:, [column]], part, horizon)[..., 0] - anchor[:, None]
        for place, weights in enumerate(fits):
            mine = weights[column if len(weights) > 1 else 0]
            found[place] += ((x @ mine - y) ** 2).sum()
    return found / (len(places) * horizon * known.shape[1])
