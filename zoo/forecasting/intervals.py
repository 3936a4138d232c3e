"""Prediction intervals from the errors of the validation part."""

from __future__ import annotations

import numpy as np

from zoo.forecasting.inputs import from_rows

LEVEL = 0.9


def half_widths(errors: np.ndarray, level: float = LEVEL) -> np.ndarray:
    """How far from a forecast the values lie in so many of all cases (split conformal).

        q_kj = the ceil((n + 1) level)-th smallest of |e_1kj|, ..., |e_nkj|

    the largest if n is smaller than that. If the errors to come are exchangeable with
    these, a value lies within `forecast +- q` at least with the probability `level`;
    errors of neighbouring timesteps are alike, and times change, so that measured
    coverage differs.

    Args:
        errors: `(n, horizon, targets)`.
        level: In (0, 1).

    Returns:
        `(horizon, targets)`.

    Source: Vovk, Gammerman & Shafer (2005); Lei et al. (2018), algorithm 2.
    """
    n = len(errors)
    rank = min(n, int(np.ceil((n + 1) * level)))
    return np.sort(np.abs(errors), axis=0)[rank - 1]


def coverage(errors: np.ndarray, widths: np.ndarray) -> float:
    """The fraction of errors that lie within.

    Args:
        errors: `(n, horizon, targets)`.
        widths: `(horizon, targets)`.
    """
    return float((np.abs(errors) <= widths).mean())


def measured_intervals(task, model, data, recipe) -> dict:
    """Half-widths by errors of the validation part, and their coverage of the test.

    Args:
        task: The task, which knows the inputs of a part.
        model: The trained model.
        data: A `Series`.
        recipe: The recipe.

    Returns:
        For a preset's `processing`: `level`, `half_widths` `(horizon, targets)` in the
        columns' own units, `forecasts`: how many errors they come from, and `coverage`:
        the fraction of the test part's values that lie within.
    """
    errors = {
        part: errors_of(task, model, data, recipe, part)[1]
        for part in ("validation", "test")
    }
    widths = half_widths(errors["validation"])
    deviation = data.scaling()[1][list(data.targets)]
    return {
        "level": LEVEL,
        "half_widths": [
            [float(f"{value:.5g}") for value in row] for row in widths * deviation
        ],
        "forecasts": len(errors["validation"]),
        "coverage": round(coverage(errors["test"], widths), 4),
    }


def errors_of(task, model, data, recipe, part: str) -> tuple[np.ndarray, np.ndarray]:
    """Errors of forecasts of a part, without and with the model's corrections.

    Args:
        task: As for `measured_intervals`.
        model: As for `measured_intervals`.
        data: As for `measured_intervals`.
        recipe: As for `measured_intervals`.
        part: "validation" or "test".

    Returns:
        Two arrays `(n, horizon, targets)`, in standard deviations.
    """
    from zoo.forecasting.running import outputs

    x, y, scored = task.stream(data, recipe, part)
    asked = from_rows(y[:, scored], recipe.horizon)
    return asked, asked - from_rows(outputs(model, x)[:, scored], recipe.horizon)
