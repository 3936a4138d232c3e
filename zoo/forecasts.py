"""The next values of a series, by a trained model."""

from __future__ import annotations

import math

import numpy as np
import tensorflow as tf

import bptt_keras as bk
from zoo.errors import UserError
from zoo.preset import Preset
from zoo.preset_folder import is_number
from zoo.tasks import TASKS
from zoo.tasks.forecasting import (
    ForecastRecipe,
    model_inputs,
    model_sizes,
    naive_forecast,
)

CHUNK = 4096  # timesteps of a call, which bounds the memory of long series


def forecast(preset: Preset, values: np.ndarray) -> np.ndarray:
    """Forecasts what comes after the end of a series.

        forecast = naive + deviation * model((values - mean) / deviation)

    with the naive forecast that the model corrects (see `naive`), and the mean and
    deviation of each column in the training part of the preset. The model reads the
    whole series, so more past is no harm.

    Args:
        preset: A preset of the task `forecasting`.
        values: `(timesteps, columns)`, oldest first, the columns of
            `preset.processing["columns"]` in this order and in their own units.

    Returns:
        `(horizon, targets)` in float64: the next timesteps of the columns
        `preset.processing["forecast"]`, in their own units.

    Raises:
        UserError: If the values have another shape or gaps, are fewer than the naive
            forecast needs, or the preset is none of forecasting.

    Example:
        import dataclasses
        import zoo
        from zoo.tasks.forecasting import Forecasting, ForecastRecipe, Series

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
    base = naive(preset, values)
    mean, deviation = (np.array(preset.processing[k]) for k in ("mean", "deviation"))
    targets = _targets(preset)
    inputs = model_inputs((values - mean) / deviation, targets, _recipe(preset))
    # One row of all columns, or a row for each.
    outputs = _last_output(preset.model, inputs)
    corrections = outputs.reshape(base.shape) if len(outputs) == 1 else outputs.T
    return base + deviation[targets] * corrections


def naive(preset: Preset, values: np.ndarray) -> np.ndarray:
    """The forecast that a preset's model corrects: the last season, or the last value.

    Args:
        preset: As for `forecast`.
        values: As for `forecast`.

    Returns:
        `(horizon, targets)`, in the units of the values.

    Raises:
        UserError: As `forecast`.
    """
    preset.require_task("forecasting")
    recipe = _recipe(preset)
    _require_whole(preset, recipe)
    values = np.asarray(values)
    _check(preset, values, recipe)
    last = np.array([len(values) - 1])
    known = values[:, _targets(preset)].astype(float)
    return naive_forecast(known, last, recipe.horizon, recipe.period)[0]


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
    if any(columns.count(name) != 1 for name in wanted):
        raise UserError(
            f"`--data` must have each column once that the preset was trained on: "
            f"{', '.join(wanted)}. It has: {', '.join(columns)}. (Columns whose first "
            "value is no number, such as dates, do not count.)"
        )
    return values[:, [columns.index(name) for name in wanted]]


def _recipe(preset: Preset) -> ForecastRecipe:
    return TASKS["forecasting"].recipe_from(preset.metadata["recipe"])


def _targets(preset: Preset) -> list[int]:
    columns = preset.processing["columns"]
    return [columns.index(name) for name in preset.processing["forecast"]]


def _require_whole(preset: Preset, recipe: ForecastRecipe) -> None:
    """Refuses a preset whose columns, scaling, recipe and model do not fit together."""

    def texts(value):
        return isinstance(value, list) and all(isinstance(v, str) for v in value)

    def numbers(value, least):
        return isinstance(value, list) and all(
            is_number(v) and v >= least for v in value
        )

    columns, chosen, mean, deviation = (
        preset.processing.get(k) for k in ("columns", "forecast", "mean", "deviation")
    )
    whole = (
        texts(columns)
        and texts(chosen)
        and len(set(columns)) == len(columns) > 0
        and 0 < len(set(chosen)) == len(chosen)
        and set(chosen) <= set(columns)
        and numbers(mean, -math.inf)
        and numbers(deviation, 0)
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


def _last_output(model, inputs: np.ndarray) -> np.ndarray:
    """The model's outputs after the last of the timesteps, `(rows, ...)`."""
    step = bk.PureStep(model)
    run = tf.function(step, reduce_retracing=True)
    state = step.initial_state(len(inputs))
    for start in range(0, inputs.shape[1], CHUNK):
        outputs, state = run(inputs[:, start : start + CHUNK], state)
    return outputs[:, -1].numpy().astype(float)
