"""Forecasts the next values of a series with a trained model."""

from __future__ import annotations

import numpy as np

from zoo.forecasting.inputs import from_rows, model_inputs
from zoo.forecasting.intervals import local_scale
from zoo.forecasting.recipe import ForecastRecipe
from zoo.forecasting.rules import naive_forecast
from zoo.forecasting.running import outputs
from zoo.forecasting.stored import arranged as arranged_as_stored
from zoo.forecasting.stored import require_consistent, ridge_of, share_of, targets_of
from zoo.plain.json_values import is_number
from zoo.recipes.stored import Stored
from zoo.runs.evaluation import stored_of
from zoo.store.preset import Preset
from zoo.system.errors import UserError


def forecast(preset: Preset, values: np.ndarray) -> np.ndarray:
    """Forecasts what comes after the end of a series.

        forecast = base + deviation * model((values - mean) / deviation)

    where `base` is the forecast that the model corrects (see `base`), and mean and
    deviation are those of each column in the training part of the preset's data. The
    model reads the whole series, so a longer past does no harm.

    Args:
        preset: A preset of the task `forecasting`.
        values: `(timesteps, columns)`, oldest first, the columns of
            `preset.processing["columns"]` in this order and in their own units.

    Returns:
        `(horizon, targets)` in float64: the next timesteps of the columns
        `preset.processing["forecast"]`, in their own units.

    Raises:
        UserError: If the values have the wrong shape or gaps, are too few for the base
            forecast, or the preset is not one of forecasting.

    Example:
        import dataclasses
        import zoo
        from zoo.forecasting.recipe import ForecastRecipe
        from zoo.forecasting.series import Series
        from zoo.tasks.forecasting import Forecasting

        values = np.sin(np.arange(60.0))[:, None]
        series = Series("sine", ("x",), values, (40, 50, 60), (0,), "made")
        recipe = ForecastRecipe(units=8, horizon=5, base="last")
        task = Forecasting()
        preset = zoo.Preset(
            task.build_model(series, recipe),
            task.processing(series, recipe),
            {"task": "forecasting", "recipe": dataclasses.asdict(recipe)},
        )
        assert zoo.forecast(preset, values).shape == (5, 1)
    """
    found = base(preset, values)
    mean, deviation = (np.array(preset.processing[k]) for k in ("mean", "deviation"))
    stored = _stored(preset)
    targets, recipe = targets_of(stored), stored.recipe
    inputs = model_inputs((values - mean) / deviation, targets, recipe)
    last = outputs(preset.model, inputs, last_only=True)
    corrections = from_rows(last[:, None], recipe.horizon)[0]
    ahead = found + deviation[targets] * corrections
    if not np.isfinite(ahead).all():
        raise UserError(
            "The preset is damaged: its forecast is no number. Its weights are not "
            "finite, or these values are far from those that it was trained on."
        )
    return ahead


def base(preset: Preset, values: np.ndarray) -> np.ndarray:
    """The forecast that a preset's model corrects.

    This is the last season, the last value, a ridge regression on the past values, or
    a mixture of one of the first two with the third.

    Args:
        preset: As for `forecast`.
        values: As for `forecast`.

    Returns:
        `(horizon, targets)`, in the units of the values.

    Raises:
        UserError: As `forecast`.
    """
    stored = _checked(preset, values)
    recipe, targets = stored.recipe, targets_of(stored)
    values, last = np.asarray(values, float), np.array([len(values) - 1])
    share, ridge = share_of(stored), ridge_of(stored)
    parts = []
    if recipe.base != "ridge":
        known = values[:, targets]
        found = naive_forecast(known, last, recipe.horizon, recipe.period)
        parts.append(share * found[0])
    if ridge is not None and (recipe.base == "ridge" or share != 1):
        mean, deviation = (
            np.array(preset.processing[k])[targets] for k in ("mean", "deviation")
        )
        found = ridge.forecast((values[:, targets] - mean) / deviation, last)[0]
        weight = 1 if recipe.base == "ridge" else 1 - share
        parts.append(weight * (mean + deviation * found))
    return sum(parts)


def naive(preset: Preset, values: np.ndarray) -> np.ndarray:
    """Repeats the last season, or the last value if there is no whole season.

    Args:
        preset: As for `forecast`.
        values: As for `forecast`.

    Returns:
        `(horizon, targets)`, in the units of the values.

    Raises:
        UserError: As `forecast`.
    """
    stored = _checked(preset, values)
    recipe = stored.recipe
    known = np.asarray(values, float)[:, targets_of(stored)]
    period = naive_period(recipe, len(known))
    return naive_forecast(known, np.array([len(known) - 1]), recipe.horizon, period)[0]


def naive_period(recipe: ForecastRecipe, length: int) -> int:
    """Number of timesteps that `naive` repeats, for a series of the given length."""
    if recipe.base == "last" or recipe.season > length:
        return 1
    return recipe.season


def half_widths(preset: Preset, values: np.ndarray) -> np.ndarray | None:
    """Half-widths of the prediction intervals around a forecast.

    Args:
        preset: As for `forecast`.
        values: As for `forecast`.

    Returns:
        `(horizon, targets)`, in the columns' own units: see
        `zoo.forecasting.intervals.half_widths`. None if the preset has no intervals: an
        older one, or one from an interrupted training.

    Raises:
        UserError: If the intervals do not fit the preset.
    """
    found = preset.processing.get("intervals")
    if found is None:
        return None
    try:
        widths = np.array(found["half_widths"], float)
        least = np.array(found["least_scale"], float)
        numbers = all(is_number(found[k]) for k in ("level", "coverage", "forecasts"))
    except (KeyError, TypeError, ValueError):
        numbers = False
    stored = _stored(preset)
    recipe, targets = stored.recipe, targets_of(stored)
    shape = recipe.horizon, len(targets)
    whole = numbers and widths.shape == shape and least.shape == shape[1:]
    if not whole or not (widths >= 0).all() or not (least > 0).all():
        raise UserError("The preset is damaged: its prediction intervals do not fit.")
    known, last = np.asarray(values, float)[:, targets], np.array([len(values) - 1])
    return widths * local_scale(known, last, recipe.horizon, least)[0]


def arranged(preset: Preset, columns: list[str], values: np.ndarray) -> np.ndarray:
    """Selects a preset's columns, in its order, from a table that may have more.

    Args:
        preset: A preset of the task `forecasting`.
        columns: Names of the columns of `values`.
        values: `(timesteps, columns)`.

    Raises:
        UserError: If the table does not have each of the preset's columns once.
    """
    return arranged_as_stored(_stored(preset), columns, values)


def _stored(preset: Preset) -> Stored[ForecastRecipe]:
    preset.require_task("forecasting")
    return stored_of(preset)


def _checked(preset: Preset, values: np.ndarray) -> Stored[ForecastRecipe]:
    """The values stored with the preset, after checking that it fits `values`."""
    found = _stored(preset)
    require_consistent(found)
    _check(preset, np.asarray(values), found.recipe)
    return found


def _check(preset: Preset, values: np.ndarray, recipe: ForecastRecipe) -> None:
    columns = preset.processing["columns"]
    if values.ndim != 2 or values.shape[1] != len(columns):
        raise UserError(
            f"The series must be (timesteps, {len(columns)}), with the columns "
            f"{', '.join(columns)}. Received the shape {values.shape}"
        )
    if len(values) < recipe.period:
        raise UserError(
            f"The series must have at least {recipe.period} timesteps, which the naive "
            f"forecast repeats. Received: {len(values)}. Give more of the past."
        )
    if not np.isfinite(values).all():
        row, column = np.argwhere(~np.isfinite(values))[0]
        raise UserError(
            f"The series must have no gaps. Timestep {row} of column "
            f"{columns[column]} is {values[row, column]}: fill it, or give only what "
            "comes after it."
        )
