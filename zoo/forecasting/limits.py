"""Sizes of tables and models that are refused before anything is computed."""

from __future__ import annotations

from zoo.forecasting.inputs import model_sizes
from zoo.forecasting.recipe import ForecastRecipe
from zoo.forecasting.series import Series
from zoo.system.errors import UserError

# Floats of the corrections that are asked for, all timesteps together.
MOST_ANSWERS = 200_000_000
# Weights at both ends of a model, with which a preset holds it.
MOST_WEIGHTS = 20_000_000


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
