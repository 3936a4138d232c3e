"""How a forecasting model is built and trained."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from zoo.recipes.recipe import Recipe, one_of


@dataclasses.dataclass(frozen=True)
class ForecastRecipe(Recipe):
    """`Recipe` with the options of forecasts."""

    horizon: Annotated[int, "Timesteps that are forecast at once, at least 1."] = 24
    season: Annotated[
        int,
        "Timesteps of a season, for the naive forecast; at least 1, which repeats "
        "the last value.",
    ] = 24
    base: Annotated[
        str,
        "Forecast that the model corrects: `season`, the seasonal naive one; "
        "`last`, the last value; or `ridge`, a ridge regression on the values "
        "before.",
    ] = one_of(("season", "last", "ridge"), "season")
    target: Annotated[str | None, "Name of the forecast column; None: all columns."] = (
        None
    )
    inputs: Annotated[
        str,
        "What the model reads: `values`, standardised; or `changes`, how each "
        "differs from the one a season before and from the last one, which do not "
        "drift away from what training has shown.",
    ] = one_of(("values", "changes"), "values")
    columns: Annotated[
        str,
        "`together`: the model reads and forecasts all of them at once; or `apart`: "
        "each by itself, by the same model.",
    ] = one_of(("together", "apart"), "together")

    def __post_init__(self):
        super().__post_init__()
        self.require("horizon", self.horizon >= 1, "at least 1")
        self.require("season", self.season >= 1, "at least 1")

    @property
    def period(self) -> int:
        """Number of past timesteps that the base forecast needs."""
        return self.season if self.base == "season" else 1
