"""What a forecasting model reads of a series, in rows, and how much that may be."""

from __future__ import annotations

import numpy as np

from zoo.forecasting.recipe import ForecastRecipe
from zoo.forecasting.rules import ahead
from zoo.forecasting.series import Series
from zoo.system.errors import UserError

# Floats of the corrections that are asked for, all timesteps together.
MOST_ANSWERS = 200_000_000
# Weights at both ends of a model, with which a preset holds it.
MOST_WEIGHTS = 20_000_000


def model_sizes(columns: int, targets: int, recipe: ForecastRecipe) -> tuple[int, int]:
    """Numbers that the model reads and that it answers with, a timestep.

    Args:
        columns: Number of columns.
        targets: Number of forecast columns.
        recipe: Says what is read, and how far ahead is forecast.
    """
    together = recipe.columns == "together"
    features = (columns if together else 1) * (2 if recipe.inputs == "changes" else 1)
    return features, recipe.horizon * (targets if together else 1)


def require_sizes(data: Series, recipe: ForecastRecipe) -> None:
    """Refuses what would fill the memory, or what no preset would hold.

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
    """What the model reads of a series.

    Args:
        scaled: Standardised values `(timesteps, columns)`.
        targets: Places of the forecast columns.
        recipe: Says what is read.

    Returns:
        `(rows, timesteps, features)` in float32: one row of all columns, or a row for
        each forecast column.
    """
    read = scaled if recipe.columns == "together" else scaled[:, list(targets)]
    read = read[..., None]
    if recipe.inputs == "changes":
        back = np.arange(len(read))[:, None] - np.array([recipe.season, 1])
        # Before the first timestep all values are the first one.
        before = read[:, :, 0][np.maximum(back, 0)].swapaxes(1, 2)
        read = read - before
    return in_rows(read.swapaxes(1, 2), recipe).astype(np.float32)


def in_rows(values: np.ndarray, recipe: ForecastRecipe) -> np.ndarray:
    """`(n, k, columns)` as `(1, n, k * columns)`, or as `(columns, n, k)` if apart."""
    if recipe.columns == "together":
        return values.reshape(1, len(values), -1)
    return np.moveaxis(values, 2, 0)


def from_rows(rows: np.ndarray, horizon: int) -> np.ndarray:
    """What `in_rows` made, back: `(n, horizon, targets)`.

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
    """Inputs, and the corrections that are asked for: `(rows, n, ...)` each.

    Args:
        data: The series.
        recipe: Says what is read and forecast.
        first: The first timestep.
        end: The one after the last that is forecast.
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
    """Inputs and corrections up to the end of a part, and which timesteps count.

    Args:
        data: The series.
        recipe: Says what is read and forecast.
        part: "validation" or "test".
    """
    first, end = data.span(part)
    # Whole windows: the first, unscored timesteps make up for it.
    start = (end - recipe.horizon) % recipe.finite_window
    x, y = pairs(data, recipe, start, end)
    # From the last timestep before the part on, all that is forecast lies in it.
    return x, y, np.arange(start, start + x.shape[1]) >= first - 1
