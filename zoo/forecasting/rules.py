"""Forecasts without learning, and the values that they are compared with."""

from __future__ import annotations

import numpy as np


def naive_forecast(
    known: np.ndarray, places: np.ndarray, horizon: int, season: int
) -> np.ndarray:
    """What the latest season says of the values after some timesteps.

        f(t + k) = known(t + k - ceil(k / season) season),  k = 1 ... horizon

    and the first value for what lies before it.

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
    """The values after timesteps.

    Args:
        known: As for `naive_forecast`.
        places: As for `naive_forecast`.
        horizon: How many.

    Returns:
        `(n, horizon, targets)`.
    """
    return known[places[:, None] + np.arange(1, horizon + 1)]
