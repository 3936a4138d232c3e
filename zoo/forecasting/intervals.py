"""Prediction intervals from the errors on the validation part."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from zoo.forecasting.inputs import from_rows, stream
from zoo.forecasting.recipe import ForecastRecipe
from zoo.forecasting.series import Series

if TYPE_CHECKING:
    import keras

LEVEL = 0.9
LEAST = 0.2  # smallest local scale, relative to the usual changes in the training part


def half_widths(errors: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """Half-widths of prediction intervals at a confidence level (split conformal).

        q_kj = the ceil((n + 1) level)-th smallest of |e_1kj|, ..., |e_nkj|

    or the largest if n is too small for that. If future errors are exchangeable with
    these, a value lies within `forecast +- q` with a probability of at least `level`.
    In practice neighbouring errors are correlated and the series changes, so the
    measured coverage differs.

    Args:
        errors: `(n, horizon, targets)`, each divided by the local scale at its time.
        level: In (0, 1).

    Returns:
        `(horizon, targets)`, to be multiplied by the local scale.

    Source: Vovk, Gammerman & Shafer (2005); locally weighted: Lei et al. (2018), 5.2.
    """
    n = len(errors)
    rank = min(n, int(np.ceil((n + 1) * level)))
    return np.sort(np.abs(errors), axis=0)[rank - 1]


def local_scale(
    known: np.ndarray, places: np.ndarray, horizon: int, least: np.ndarray
) -> np.ndarray:
    """The recent size of a series' changes, with which errors grow and shrink.

    This is the root mean square of the changes from one timestep to the next over the
    last `2 horizon` timesteps.

    Args:
        known: Values `(timesteps, targets)`.
        places: Timesteps, `(n,)`.
        horizon: Timesteps that are forecast.
        least: Lower bounds, `(targets,)`.

    Returns:
        `(n, 1, targets)`.
    """
    squares = np.diff(known, axis=0, prepend=known[:1]) ** 2
    sums = np.concatenate([np.zeros_like(known[:1]), squares.cumsum(axis=0)])
    first = np.maximum(places + 1 - 2 * horizon, 0)
    mean = (sums[places + 1] - sums[first]) / (places + 1 - first)[:, None]
    # Rounding can make differences of sums negative.
    return np.maximum(np.sqrt(np.maximum(mean, 0)), least)[:, None]


def coverage(errors: np.ndarray, widths: np.ndarray) -> float:
    """The fraction of errors that lie within the half-widths.

    Args:
        errors: `(n, horizon, targets)`.
        widths: `(horizon, targets)`.
    """
    return float((np.abs(errors) <= widths).mean())


def measured_intervals(
    model: keras.Model, data: Series, recipe: ForecastRecipe
) -> dict[str, Any]:
    """Half-widths from errors on the validation part, and their coverage on the test.

    Args:
        model: The trained model.
        data: The series.
        recipe: The recipe.

    Returns:
        Values for a preset's `processing`: `level`; `half_widths` `(horizon, targets)`,
        in local scales; `least_scale` `(targets,)`, in the columns' own units;
        `forecasts`, the number of errors that they come from; and `coverage`, the
        fraction of the test part's values that lie within the intervals.
    """
    known = data.scaled()[:, list(data.targets)]
    changes = np.diff(known[: data.ends[0]], axis=0)
    least = np.maximum(LEAST * np.sqrt((changes**2).mean(axis=0)), 1e-9)
    errors = {}
    for part in ("validation", "test"):
        places, _, found = errors_of(model, data, recipe, part)
        errors[part] = found / local_scale(known, places, recipe.horizon, least)
    widths = half_widths(errors["validation"])
    deviation = data.scaling()[1][list(data.targets)]
    return {
        "level": LEVEL,
        "half_widths": [[_short(value) for value in row] for row in widths],
        "least_scale": [_short(value) for value in least * deviation],
        "forecasts": len(errors["validation"]),
        "coverage": round(coverage(errors["test"], widths), 4),
    }


def _short(value: float) -> float:
    return float(f"{value:.5g}")


def errors_of(
    model: keras.Model, data: Series, recipe: ForecastRecipe, part: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Errors of forecasts on a part, without and with the model's corrections.

    Args:
        model: As for `measured_intervals`.
        data: As for `measured_intervals`.
        recipe: As for `measured_intervals`.
        part: "validation" or "test".

    Returns:
        The timesteps from which the forecasts start, `(n,)`; and both errors, each
        `(n, horizon, targets)`, in standard deviations.
    """
    # Keras: put off.
    from zoo.forecasting.running import outputs

    x, y, scored = stream(data, recipe, part)
    asked = from_rows(y[:, scored], recipe.horizon)
    places = np.arange(len(asked)) + data.span(part)[0] - 1
    corrections = from_rows(outputs(model, x)[:, scored], recipe.horizon)
    return places, asked, asked - corrections
