"""Forecasts without learning, and the values to compare them with."""

from __future__ import annotations

import numpy as np


def naive_forecast(
    known: np.ndarray, places: np.ndarray, horizon: int, season: int
) -> np.ndarray:
    """Forecasts by repeating the latest season.

        f(t + k) = known(t + k - ceil(k / season) season),  k = 1 ... horizon

    with the first value in place of values before it.

    Args:
        known: Values `(timesteps, targets)`.
        places: Timesteps t, `(n,)`.
        horizon: Timesteps that are forecast.
        season: Timesteps of a season; 1 repeats the last value.

    Returns:
        `(n, horizon, targets)`.
    """
    steps = np.arange(1, horizon + 1)
    back = -(-steps // season) * season
    return known[np.maximum(places[:, None] + steps - back, 0)]


def ahead(known: np.ndarray, places: np.ndarray, horizon: int) -> np.ndarray:
    """The values that follow the given timesteps.

    Args:
        known: As for `naive_forecast`.
        places: As for `naive_forecast`.
        horizon: Number of values.

    Returns:
        `(n, horizon, targets)`.
    """
    return known[places[:, None] + np.arange(1, horizon + 1)]
