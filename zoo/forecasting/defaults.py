"""Sets the fields of a recipe that depend on the table to forecast."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from zoo.forecasting.recipe import ForecastRecipe
from zoo.forecasting.rules import ahead
from zoo.forecasting.season import find_season
from zoo.forecasting.series import Series

UPDATES = 1500  # of a whole training, approximately
WINDOWS = 10  # the fewest per epoch, if the table is long enough
MOST_EPOCHS = 150
ROWS = 64  # with more rows per update, fewer updates suffice
FEWEST_UPDATES = 150


def fitted_recipe(
    data: Series, recipe: ForecastRecipe, given: frozenset[str]
) -> ForecastRecipe:
    """Completes a recipe for the user's own table.

    - horizon: 24, but at most half the validation part; a season, if that is shorter;
    - season: found in the training part (`find_season`); 1 if there is none;
    - base: the one with the smallest error on the validation part;
    - columns: `apart` if there are several columns and all are forecast;
    - window, batch_size, epochs: as many updates for a short table as for a long one;
    - patience: a quarter of the epochs;
    - units, dropout: fewer units and more dropout for a short table.

    Args:
        data: The table.
        recipe: The recipe so far.
        given: Fields to leave unchanged.
    """
    changes: dict[str, Any] = {}

    def settle(**values: Any) -> None:
        nonlocal recipe
        changes.update({k: v for k, v in values.items() if k not in given})
        recipe = dataclasses.replace(recipe, **changes)

    train, validation = data.ends[0], data.ends[1] - data.ends[0]
    usual: list[int] = []
    if data.table is not None and data.table.clock is not None:
        usual = data.table.clock.seasons()
    known = data.scaled()[:train, list(data.targets)]
    if "season" not in given:
        settle(season=find_season(known, usual))
    if "horizon" not in given:
        most = max(1, validation // 2)
        season = recipe.season
        settle(horizon=24 if most >= 24 else season if 1 < season <= most else most)
    if recipe.target is None:
        settle(columns="apart" if len(data.columns) > 1 else "together")
    settle(inputs="changes")
    length = max(1, train - recipe.horizon)
    settle(window=int(np.clip(length // WINDOWS, min(8, length), 96)))
    rows = int(np.clip(length // (WINDOWS * recipe.finite_window), 1, 8))
    settle(batch_size=rows)
    streams = length // recipe.batch_size
    updates = -(-streams // recipe.finite_window)
    # An update on thousands of rows achieves more than one on a few.
    rows *= len(data.targets) if recipe.columns == "apart" else 1
    wanted = max(FEWEST_UPDATES, UPDATES * ROWS // max(ROWS, rows))
    settle(epochs=int(np.clip(-(-wanted // updates), 8, MOST_EPOCHS)))
    settle(patience=max(10, recipe.epochs // 4))
    settle(units=32 if length < 5000 else 64, dropout=0.3 if length < 1000 else 0.2)
    if "base" not in given:
        settle(base=_best_base(data, recipe))
    return recipe


def _best_base(data: Series, recipe: ForecastRecipe) -> str:
    """The base forecast with the smallest error on the validation part."""
    first, end = data.span("validation")
    places = np.arange(first - 1, end - recipe.horizon)
    if not len(places):
        return "last"
    known = data.scaled()[:, list(data.targets)]
    y = ahead(known, places, recipe.horizon)
    errors = {}
    for base in ("ridge", "last", "season"):
        if base == "season" and recipe.season == 1:
            continue
        found = data.base(known, places, dataclasses.replace(recipe, base=base))
        errors[base] = ((found - y) ** 2).mean()
    return min(errors, key=errors.__getitem__)
