"""The inputs and targets of a forecasting model, in rows, and limits on their size."""

from __future__ import annotations

import numpy as np

from zoo.forecasting.recipe import ForecastRecipe
from zoo.forecasting.rules import ahead
from zoo.forecasting.series import Series
from zoo.system.errors import UserError

# The most floats of the target corrections, over all timesteps.
MOST_ANSWERS = 200_000_000
# The most weights in the first and last layer, so that a preset can hold the model.
MOST_WEIGHTS = 20_000_000


def model_sizes(columns: int, targets: int, recipe: ForecastRecipe) -> tuple[int, int]:
    """Number of inputs and of outputs of the model per timestep.

    Args:
        columns: Number of columns.
        targets: Number of forecast columns.
        recipe: Determines the inputs and the horizon.
    """
    together = recipe.columns == "together"
    features = (columns if together else 1) * (2 if recipe.inputs == "changes" else 1)
    return features, recipe.horizon * (targets if together else 1)


def require_sizes(data: Series, recipe: ForecastRecipe) -> None:
    """Refuses data and models that are too large for the memory or for a preset.

    Args:
        data: The series.
        recipe: The recipe.

    Raises:
        UserError: Says what to change.
    """
    answers = len(data.values) * recipe.horizon * len(data.targets)
    if answers > MOST_ANSWERS:
        raise UserError(
            f"{data.name} is too large: {len(data.values):,} timesteps, "
            f"{len(data.targets):,} columns and a horizon of {recipe.horizon} are "
            f"{answers:,} values to forecast, of at most {MOST_ANSWERS:,}. Lower "
            "--horizon, or name a --target or --columns-used."
        )
    features, outputs = model_sizes(len(data.columns), len(data.targets), recipe)
    weights = recipe.units * (4 * features + outputs)
    if weights > MOST_WEIGHTS:
        raise UserError(
            f"A model that reads {features:,} numbers and answers with {outputs:,} "
            f"has {weights:,} weights for them, of at most {MOST_WEIGHTS:,}. Take "
            "--columns apart, or lower --horizon or --units."
        )


def model_inputs(
    scaled: np.ndarray, targets: tuple[int, ...] | list[int], recipe: ForecastRecipe
) -> np.ndarray:
    """The model's inputs from a series.

    Args:
        scaled: Standardised values `(timesteps, columns)`.
        targets: Indices of the forecast columns.
        recipe: Determines the inputs.

    Returns:
        `(rows, timesteps, features)` in float32: one row for all columns, or a row for
        each forecast column.
    """
    read = scaled if recipe.columns == "together" else scaled[:, list(targets)]
    read = read[..., None]
    if recipe.inputs == "changes":
        back = np.arange(len(read))[:, None] - np.array([recipe.season, 1])
        # Values before the first timestep equal the first one.
        before = read[:, :, 0][np.maximum(back, 0)].swapaxes(1, 2)
        read = read - before
    return in_rows(read.swapaxes(1, 2), recipe).astype(np.float32)


def in_rows(values: np.ndarray, recipe: ForecastRecipe) -> np.ndarray:
    """`(n, k, columns)` as `(1, n, k * columns)`, or as `(columns, n, k)` if apart."""
    if recipe.columns == "together":
        return values.reshape(1, len(values), -1)
    return np.moveaxis(values, 2, 0)


def from_rows(rows: np.ndarray, horizon: int) -> np.ndarray:
    """The inverse of `in_rows`: returns `(n, horizon, targets)`.

    Args:
        rows: `(1, n, horizon * targets)`, or `(targets, n, horizon)`.
        horizon: Timesteps of a forecast.
    """
    if rows.shape[0] == 1:
        return rows[0].reshape(rows.shape[1], horizon, -1)
    return np.moveaxis(rows, 0, 2)


def pairs(
    data: Series, recipe: ForecastRecipe, first: int, end: int
) -> tuple[np.ndarray, np.ndarray]:
    """Inputs and target corrections, each `(rows, n, ...)`.

    Args:
        data: The series.
        recipe: Determines inputs and targets.
        first: The first timestep.
        end: The timestep after the last one that is forecast.
    """
    scaled = data.scaled()
    known = scaled[:, list(data.targets)]
    places = np.arange(first, end - recipe.horizon)
    y = ahead(known, places, recipe.horizon)
    y = y - data.base(known, places, recipe)
    x = model_inputs(scaled, data.targets, recipe)[:, places]
    return x, in_rows(y, recipe).astype(np.float32)


def stream(
    data: Series, recipe: ForecastRecipe, part: str
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs and target corrections up to the end of a part, and the scored timesteps.

    Args:
        data: The series.
        recipe: Determines inputs and targets.
        part: "validation" or "test".
    """
    first, end = data.span(part)
    # Start so that all windows are full: the first timesteps are not scored anyway.
    start = (end - recipe.horizon) % recipe.finite_window
    x, y = pairs(data, recipe, start, end)
    # From the last timestep before the part, all forecast values lie in the part.
    return x, y, np.arange(start, start + x.shape[1]) >= first - 1
