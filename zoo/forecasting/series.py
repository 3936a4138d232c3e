"""A table of values over time, divided into parts for training and evaluation."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from zoo.forecasting.recipe import ForecastRecipe
from zoo.forecasting.ridge import Ridge, fit_ridge
from zoo.forecasting.rules import naive_forecast
from zoo.plain.parts import PARTS
from zoo.system.errors import UserError
from zoo.tables.own_table import Table, read_table

FEWEST = 20  # rows of a table
LONG = 1000  # rows from which a tenth is enough for validation


@dataclasses.dataclass(frozen=True)
class Series:
    """A table of values over time, divided into three parts.

    Args:
        name: Its name in reports.
        columns: Names of the columns.
        values: `(timesteps, columns)`.
        ends: Timesteps where the training, validation and test parts end.
        targets: Indices of the forecast columns.
        source: Where it comes from.
        own_scaling: Mean and standard deviation of each column that a trained model
            needs; None: those of the training part.
        own_ridge: The ridge regression that a trained model corrects or is mixed with;
            None: that of the training part.
        share: Share of the naive forecast with its corrections in a mixture with
            `own_ridge`; 1: there is no mixture.
        table: The table it was read from, if any.
        reading: Options that the table was read with.
    """

    name: str
    columns: tuple[str, ...]
    values: np.ndarray
    ends: tuple[int, int, int]
    targets: tuple[int, ...]
    source: str
    own_scaling: tuple[np.ndarray, np.ndarray] | None = None
    own_ridge: Ridge | None = None
    share: float = 1.0
    table: Table | None = None
    reading: dict[str, Any] = dataclasses.field(default_factory=dict)
    # A cache, which is not part of the data.
    _ridges: dict[Any, Ridge] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def scaling(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each column, given or of the training part."""
        if self.own_scaling is not None:
            return self.own_scaling
        train = self.values[: self.ends[0]]
        return train.mean(axis=0), np.maximum(train.std(axis=0), 1e-9)

    def scaled(self) -> np.ndarray:
        """All values, standardised with `scaling`."""
        mean, deviation = self.scaling()
        return (self.values - mean) / deviation

    def ridge(self, recipe: ForecastRecipe) -> Ridge:
        """A regression fitted to the training part, selected on the validation part."""
        key = recipe.horizon, recipe.season, self.targets
        if key not in self._ridges:
            known = self.scaled()[:, list(self.targets)]
            self._ridges[key] = fit_ridge(
                known, self.ends[:2], recipe.horizon, recipe.season
            )
        return self._ridges[key]

    def base(
        self, known: np.ndarray, places: np.ndarray, recipe: ForecastRecipe
    ) -> np.ndarray:
        """The forecast that a model corrects.

        Args:
            known: Standardised values of the forecast columns, `(timesteps, targets)`.
            places: Timesteps from which to forecast, `(n,)`.
            recipe: Determines which forecast it is.

        Returns:
            `(n, horizon, targets)`.
        """
        if recipe.base == "ridge":
            return (self.own_ridge or self.ridge(recipe)).forecast(known, places)
        naive = naive_forecast(known, places, recipe.horizon, recipe.period)
        if self.share == 1:
            return naive
        other = cast(Ridge, self.own_ridge).forecast(known, places)
        return self.share * naive + (1 - self.share) * other

    def span(self, part: str) -> tuple[int, int]:
        """The first timestep of a part, and the one after its last."""
        index = PARTS.index(part)
        return (0, *self.ends)[index], self.ends[index]

    def describe(self) -> dict[str, Any]:
        """Facts for a model's metadata."""
        sizes = {f"{p}_timesteps": int(np.diff(self.span(p))[0]) for p in PARTS}
        return {
            "name": self.name,
            "source": self.source,
            "columns": list(self.columns),
            "forecast": [self.columns[i] for i in self.targets],
            **sizes,
            **({} if self.table is None else self.table.facts()),
        }


def shares(
    length: int, validation: float | None = None, test: float | None = None
) -> tuple[int, int, int]:
    """The timesteps where the parts of a series end.

    Args:
        length: Number of timesteps.
        validation: Fraction for validation; None: 10 %, or 20 % below 1,000 timesteps,
            where 10 % would hold only a handful of forecasts.
        test: Fraction for the test, at the end; None: 20 %.

    Raises:
        UserError: If they leave nothing to learn from.
    """
    if validation is None:
        validation = 0.2 if length < LONG else 0.1
    test = 0.2 if test is None else test
    for name, value in (("validation", validation), ("test", test)):
        if not 0 < value < 1:
            raise UserError(
                f"`--{name}` must be a fraction between 0 and 1. Received: {value}"
            )
    if validation + test > 0.9:
        raise UserError(
            "`--validation` and `--test` must leave at least a tenth of the rows to "
            f"learn from. Received: {validation} and {test}"
        )
    train = 1 - validation - test
    return round(train * length), round((1 - test) * length), length


def own_series(
    path: str | os.PathLike,
    recipe: ForecastRecipe,
    *,
    needed: Sequence[str] = (),
    validation: float | None = None,
    test: float | None = None,
    **reading: Any,
) -> Series:
    """Reads the user's own table and divides it into parts.

    Args:
        path: A CSV file.
        recipe: Names the forecast columns.
        needed: As for `read_table`.
        validation: As for `shares`.
        test: As for `shares`.
        **reading: Other arguments of `read_table`.

    Raises:
        UserError: If it cannot be read, or is too short.
    """
    table = read_table(path, needed=needed, **reading)
    if len(table.values) < FEWEST:
        raise UserError(
            f"`--data` is too short to forecast: {table.name} has "
            f"{len(table.values)} rows, at least {FEWEST} are needed."
        )
    ends = shares(len(table.values), validation, test)
    fractions = {"validation": validation, "test": test}
    reading |= {k: v for k, v in fractions.items() if v is not None}
    return series_of(
        *(table.name, table.columns, table.values, ends, recipe, "own file"),
        table=table,
        reading=reading,
    )


def series_of(
    name: str,
    columns: Sequence[str],
    values: Any,
    ends: tuple[int, int, int],
    recipe: ForecastRecipe,
    source: str,
    **more: Any,
) -> Series:
    """Makes a `Series` whose forecast columns are named by a recipe.

    Raises:
        UserError: If it names a column that does not exist.
    """
    if recipe.target is None:
        targets = tuple(range(len(columns)))
    elif recipe.target in columns:
        targets = (list(columns).index(recipe.target),)
    else:
        raise UserError(
            f"--target names no column of {name}: {recipe.target!r}. There are: "
            f"{', '.join(columns[:50])}."
        )
    values = np.asarray(values)
    return Series(name, tuple(columns), values, ends, targets, source, **more)
