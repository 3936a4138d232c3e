"""The next values of a series, by a trained model."""

from __future__ import annotations

import collections

import numpy as np

from zoo.forecasting.inputs import from_rows, model_inputs, model_sizes
from zoo.forecasting.intervals import local_scale
from zoo.forecasting.recipe import ForecastRecipe
from zoo.forecasting.ridge import Ridge
from zoo.forecasting.rules import naive_forecast
from zoo.forecasting.running import outputs
from zoo.store.folder import are_numbers, are_texts, is_number
from zoo.store.preset import Preset
from zoo.system.errors import UserError
from zoo.tasks import TASKS


def forecast(preset: Preset, values: np.ndarray) -> np.ndarray:
    """Forecasts what comes after the end of a series.

        forecast = base + deviation * model((values - mean) / deviation)

    with the forecast that the model corrects (see `base`), and the mean and deviation
    of each column in the training part of the preset. The model reads the whole series,
    so more past is no harm.

    Args:
        preset: A preset of the task `forecasting`.
        values: `(timesteps, columns)`, oldest first, the columns of
            `preset.processing["columns"]` in this order and in their own units.

    Returns:
        `(horizon, targets)` in float64: the next timesteps of the columns
        `preset.processing["forecast"]`, in their own units.

    Raises:
        UserError: If the values have another shape or gaps, are fewer than that
            forecast needs, or the preset is none of forecasting.

    Example:
        import dataclasses
        import zoo
        from zoo.forecasting.intervals import local_scale
    from zoo.forecasting.recipe import ForecastRecipe
        from zoo.forecasting.series import Series
        from zoo.tasks.forecasting import Forecasting

        values = np.sin(np.arange(60.0))[:, None]
        series = Series("sine", ("x",), values, (40, 50, 60), (0,), "made")
        recipe = ForecastRecipe(units=8, horizon=5, base="last")
        task = Forecasting()
        preset = zoo.Preset(
            task.build_model(series, recipe),
            task.processing(series),
            {"task": "forecasting", "recipe": dataclasses.asdict(recipe)},
        )
        assert zoo.forecast(preset, values).shape == (5, 1)
    """
    found = base(preset, values)
    mean, deviation = (np.array(preset.processing[k]) for k in ("mean", "deviation"))
    targets, recipe = _targets(preset), _recipe(preset)
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

    The last season, the last value, a ridge regression on the values before, or a
    mixture of one of the first two with the third.

    Args:
        preset: As for `forecast`.
        values: As for `forecast`.

    Returns:
        `(horizon, targets)`, in the units of the values.

    Raises:
        UserError: As `forecast`.
    """
    recipe = _checked(preset, values)
    values, targets = np.asarray(values, float), _targets(preset)
    last, share, ridge = np.array([len(values) - 1]), share_of(preset), ridge_of(preset)
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
    """The last season again, or the last value where there is no whole season.

    Args:
        preset: As for `forecast`.
        values: As for `forecast`.

    Returns:
        `(horizon, targets)`, in the units of the values.

    Raises:
        UserError: As `forecast`.
    """
    recipe = _checked(preset, values)
    known = np.asarray(values, float)[:, _targets(preset)]
    period = naive_period(recipe, len(known))
    return naive_forecast(known, np.array([len(known) - 1]), recipe.horizon, period)[0]


def naive_period(recipe: ForecastRecipe, length: int) -> int:
    """Timesteps that `naive` repeats, of a series of some length."""
    if recipe.base == "last" or recipe.season > length:
        return 1
    return recipe.season


def half_widths(preset: Preset, values: np.ndarray) -> np.ndarray | None:
    """How far the values may lie from a forecast, in so many of all cases.

    Args:
        preset: As for `forecast`.
        values: As for `forecast`.

    Returns:
        `(horizon, targets)`, in the columns' own units: see
        `zoo.forecasting.intervals.half_widths`. None if the preset has none, as older
        ones have not, nor trainings that were interrupted.

    Raises:
        UserError: If they do not fit the preset.
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
    recipe, targets = _recipe(preset), _targets(preset)
    shape = recipe.horizon, len(targets)
    whole = numbers and widths.shape == shape and least.shape == shape[1:]
    if not whole or not (widths >= 0).all() or not (least > 0).all():
        raise UserError("The preset is damaged: its prediction intervals do not fit.")
    known, last = np.asarray(values, float)[:, targets], np.array([len(values) - 1])
    return widths * local_scale(known, last, recipe.horizon, least)[0]


def ridge_of(preset: Preset) -> Ridge | None:
    """The ridge regression that a preset's model corrects or is mixed with, if any.

    Raises:
        UserError: If the preset should have one and has not.
    """
    recipe = _recipe(preset)
    if recipe.base != "ridge" and "ridge" not in preset.processing:
        return None
    targets = len(preset.processing["forecast"])
    try:
        return Ridge.from_json(preset.processing["ridge"], targets, recipe.horizon)
    except (KeyError, ValueError) as error:
        raise UserError(f"The preset is damaged: {error}.") from None


def share_of(preset: Preset) -> float:
    """The share of the naive forecast in what a preset's model corrects.

    Raises:
        UserError: If it is none, or the regression for the rest is missing.
    """
    share = preset.processing.get("share", 1.0)
    if not is_number(share) or not 0 <= share <= 1:
        raise UserError(f"The preset is damaged: its share is {share!r:.40}.")
    if share != 1 and ridge_of(preset) is None:
        raise UserError("The preset is damaged: the regression to mix with is missing.")
    return share


def arranged(preset: Preset, columns: list[str], values: np.ndarray) -> np.ndarray:
    """The columns of a preset, in its order, from a table that may have others.

    Args:
        preset: A preset of the task `forecasting`.
        columns: Names of the columns of `values`.
        values: `(timesteps, columns)`.

    Raises:
        UserError: If the table has not each of the preset's columns once.
    """
    preset.require_task("forecasting")
    _require_whole(preset, _recipe(preset))
    wanted = preset.processing["columns"]
    counts = collections.Counter(columns)
    if any(counts[name] != 1 for name in wanted):
        raise UserError(
            f"`--data` must have each column once that the preset was trained on: "
            f"{', '.join(wanted[:50])}. It has: {', '.join(columns[:50])}. (Columns of "
            "dates, of text, and those that only count do not count.)"
        )
    places = {name: place for place, name in enumerate(columns)}
    return values[:, [places[name] for name in wanted]]


def _recipe(preset: Preset) -> ForecastRecipe:
    return TASKS["forecasting"].recipe_from(preset.metadata["recipe"])


def _targets(preset: Preset) -> list[int]:
    places = {name: i for i, name in enumerate(preset.processing["columns"])}
    return [places[name] for name in preset.processing["forecast"]]


def _checked(preset: Preset, values: np.ndarray) -> ForecastRecipe:
    """The recipe of a preset that goes with the values."""
    preset.require_task("forecasting")
    recipe = _recipe(preset)
    _require_whole(preset, recipe)
    _check(preset, np.asarray(values), recipe)
    return recipe


def _require_whole(preset: Preset, recipe: ForecastRecipe) -> None:
    """Refuses a preset whose columns, scaling, recipe and model do not fit together."""
    columns, chosen, mean, deviation = (
        preset.processing.get(k) for k in ("columns", "forecast", "mean", "deviation")
    )
    whole = (
        are_texts(columns)
        and are_texts(chosen)
        and len(set(columns)) == len(columns) > 0
        and 0 < len(set(chosen)) == len(chosen)
        and set(chosen) <= set(columns)
        and are_numbers(mean)
        and are_numbers(deviation, 0)
        and len(mean) == len(deviation) == len(columns)
    )
    if whole:
        sizes = model_sizes(len(columns), len(chosen), recipe)
        model = preset.model
        whole = (model.input_shape[-1], model.output_shape[-1]) == sizes
    if not whole:
        raise UserError(
            "The preset is damaged: its columns, its scaling, its recipe and its model "
            "do not fit together."
        )


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
