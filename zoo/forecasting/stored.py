"""Checks what a forecasting preset stores: columns, scaling, regression, share."""

from __future__ import annotations

import collections

import numpy as np

from zoo.forecasting.inputs import model_sizes
from zoo.forecasting.recipe import ForecastRecipe
from zoo.forecasting.ridge import Ridge
from zoo.plain.json_values import are_numbers, are_texts, is_number
from zoo.recipes.stored import Stored
from zoo.system.errors import UserError


def require_consistent(stored: Stored[ForecastRecipe]) -> None:
    """Refuses a preset whose columns, scaling, recipe and model are inconsistent.

    Raises:
        UserError: If they are.
    """
    columns, chosen, mean, deviation = (
        stored.processing.get(k) for k in ("columns", "forecast", "mean", "deviation")
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
        and stored.sizes == model_sizes(len(columns), len(chosen), stored.recipe)
    )
    if not whole:
        raise UserError(
            "The preset is damaged: its columns, its scaling, its recipe and its model "
            "do not fit together."
        )


def arranged(
    stored: Stored[ForecastRecipe], columns: list[str], values: np.ndarray
) -> np.ndarray:
    """Selects a preset's columns, in its order, from a table that may have more.

    Args:
        stored: The values stored with the preset.
        columns: Names of the columns of `values`.
        values: `(timesteps, columns)`.

    Raises:
        UserError: If the table does not have each of the preset's columns once.
    """
    require_consistent(stored)
    wanted = stored.processing["columns"]
    counts = collections.Counter(columns)
    if any(counts[name] != 1 for name in wanted):
        raise UserError(
            f"`--data` must have each column once that the preset was trained on: "
            f"{', '.join(wanted[:50])}. It has: {', '.join(columns[:50])}. (Columns of "
            "dates, of text, and those that only count do not count.)"
        )
    places = {name: place for place, name in enumerate(columns)}
    return values[:, [places[name] for name in wanted]]


def ridge_of(stored: Stored[ForecastRecipe]) -> Ridge | None:
    """The ridge regression that a model corrects or is mixed with, if any.

    Raises:
        UserError: If there should be one but is none.
    """
    recipe, processing = stored.recipe, stored.processing
    if recipe.base != "ridge" and "ridge" not in processing:
        return None
    targets = len(processing["forecast"])
    try:
        return Ridge.from_json(processing["ridge"], targets, recipe.horizon)
    except (KeyError, ValueError) as error:
        raise UserError(f"The preset is damaged: {error}.") from None


def share_of(stored: Stored[ForecastRecipe]) -> float:
    """The share of the naive forecast in the base forecast of a model.

    Raises:
        UserError: If it is not valid, or the regression for the rest is missing.
    """
    share = stored.processing.get("share", 1.0)
    if not is_number(share) or not 0 <= share <= 1:
        raise UserError(f"The preset is damaged: its share is {share!r:.40}.")
    if share != 1 and ridge_of(stored) is None:
        raise UserError("The preset is damaged: the regression to mix with is missing.")
    return share


def targets_of(stored: Stored[ForecastRecipe]) -> list[int]:
    """Indices of the forecast columns among all columns."""
    places = {name: i for i, name in enumerate(stored.processing["columns"])}
    return [places[name] for name in stored.processing["forecast"]]
