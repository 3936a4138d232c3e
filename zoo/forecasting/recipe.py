"""How a forecasting model is built and trained."""

from __future__ import annotations

import dataclasses

from zoo.recipes.recipe import Recipe, one_of


@dataclasses.dataclass(frozen=True)
class ForecastRecipe(Recipe):
    """`Recipe`, and what is forecast.

    Args:
        horizon: Timesteps that are forecast at once, at least 1.
        season: Timesteps of a season, for the naive forecast; at least 1, which repeats
            the last value.
        base: Forecast that the model corrects: `season`, the seasonal naive one;
            `last`, the last value; or `ridge`, a ridge regression on the values before.
        target: Name of the forecast column; None: all columns.
        inputs: What the model reads: `values`, standardised; or `changes`, how each
            differs from the one a season before and from the last one, which do not
            drift away from what training has shown.
        columns: `together`: the model reads and forecasts all of them at once; or
            `apart`: each by itself, by the same model.
    """

    horizon: int = 24
    season: int = 24
    base: str = one_of(("season", "last", "ridge"), "season")
    target: str | None = None
    inputs: str = one_of(("values", "changes"), "values")
    columns: str = one_of(("together", "apart"), "together")

    def __post_init__(self):
        super().__post_init__()
        self.require("horizon", self.horizon >= 1, "at least 1")
        self.require("season", self.season >= 1, "at least 1")

    @property
    def period(self) -> int:
        """Timesteps that the forecast to be corrected needs of the past."""
        return self.season if self.base == "season" else 1
