"""Forecast a series: the next values, given all that came before."""

from __future__ import annotations

import dataclasses
import os
from typing import TYPE_CHECKING, Any

import numpy as np

from zoo import datasets
from zoo.forecasting.defaults import fitted_recipe
from zoo.forecasting.inputs import model_sizes, pairs, require_sizes, stream
from zoo.forecasting.intervals import measured_intervals
from zoo.forecasting.mixture import clear_share
from zoo.forecasting.recipe import ForecastRecipe
from zoo.forecasting.rules import ahead, naive_forecast
from zoo.forecasting.series import Series, own_series, series_of, shares
from zoo.forecasting.stored import arranged, ridge_of, share_of, targets_of
from zoo.plain.parts import PARTS
from zoo.recipes.stored import Stored
from zoo.system.errors import UserError
from zoo.tables.options import FRACTIONS, OPTIONS, reading_of
from zoo.tasks.task import Metric, Task

if TYPE_CHECKING:
    import keras


class Forecasting(Task[Series, ForecastRecipe]):
    """Forecasting.

    The series is one stream. After each timestep t the model predicts, with the carried
    state, the values of the forecast columns at t + 1 ... t + horizon: as corrections
    to a naive forecast, the last season or the last value. The metric is the mean
    squared error over all of them, in units of the training part's variance.

    The seasonal naive forecast repeats the last season: for t + k it is the value at
    the latest timestep not after t that lies a whole number of seasons before t + k.
    """

    NAME = "forecasting"
    SUMMARY = "forecast the next values of a series (mean squared error)"
    DATASETS = ("etth1", "sunspots")
    METRIC = Metric("mean squared error", "training variances")
    RECIPES = {
        None: ForecastRecipe(
            units=64,
            dropout=0.2,
            batch_size=16,
            window=96,
            epochs=30,
            learning_rate=2e-3,
            weight_decay=0.05,
            inputs="changes",
        ),
        # When it reads values, and all columns together, it learns nothing beyond the
        # season (0.425): the test part is at other levels than the training part.
        "etth1": ForecastRecipe(
            units=64,
            dropout=0.2,
            batch_size=8,
            window=96,
            epochs=12,
            learning_rate=2e-3,
            weight_decay=0.05,
            horizon=24,
            season=24,
            inputs="changes",
            columns="apart",
        ),
        "sunspots": ForecastRecipe(
            units=32,
            dropout=0.2,
            batch_size=8,
            window=60,
            epochs=60,
            learning_rate=2e-3,
            weight_decay=0.05,
            horizon=12,
            season=132,
            base="last",
            inputs="changes",
        ),
    }
    # Both with attention, horizon 24.
    REFERENCES = {"etth1": {"LSTMa (Zhou et al. 2021)": 0.650}}
    OWN_DATA = "a CSV file, with times or without"
    READING = (*OPTIONS, *FRACTIONS)
    MAKES = "forecast"

    def load(
        self, dataset: str, data_dir: str | os.PathLike | None, recipe: ForecastRecipe
    ) -> Series:
        (table,) = datasets.load(dataset, data_dir=data_dir)["series"]
        columns = [name.decode("utf-8") for name in table["columns"]]
        if dataset == "etth1":
            # 12, 4 and 4 months of 30 days.
            ends = (30 * 24 * 12, 30 * 24 * 16, 30 * 24 * 20)
        else:
            ends = shares(len(table["values"]), validation=0.1)
        source = datasets.describe(dataset)["files"][0]["url"]
        return series_of(dataset, columns, table["values"], ends, recipe, source)

    def from_file(self, path: str, recipe: ForecastRecipe, **reading: Any) -> Series:
        return own_series(path, recipe, **reading)

    def fitted(
        self, data: Series, recipe: ForecastRecipe, given: frozenset[str]
    ) -> ForecastRecipe:
        return fitted_recipe(data, recipe, given)

    def check(self, data: Series, recipe: ForecastRecipe) -> None:
        self.require_window(recipe, "a table, which is one long stream")
        if recipe.season >= data.ends[0]:
            raise UserError(
                f"--season must be shorter than what {data.name} has to learn from: "
                f"{data.ends[0]:,} timesteps. Received: {recipe.season:,}"
            )
        length = self._stream_length(data, recipe)
        if length < recipe.finite_window:
            raise UserError(
                f"{data.name} is too short: {data.ends[0]:,} timesteps to learn from, "
                f"in {recipe.batch_size} streams, leave {max(length, 0)} to each, less "
                f"than one window of {recipe.window}. Lower --batch-size, --window or "
                "--horizon."
            )
        for part in PARTS[1:]:
            first, end = data.span(part)
            if end - first < recipe.horizon + 1:
                raise UserError(
                    f"{data.name} is too short: its {part} part has {end - first} "
                    f"timesteps, the horizon is {recipe.horizon}. Lower --horizon."
                )
        require_sizes(data, recipe)

    def _stream_length(self, data: Series, recipe: ForecastRecipe) -> int:
        return (data.ends[0] - recipe.horizon) // recipe.batch_size

    def training(self, data: Series, recipe: ForecastRecipe) -> Any:
        """`batch_size` pieces of each series, side by side."""
        # Keras: put off.
        from zoo.fitting.batches import ShuffledArrays

        found = pairs(data, recipe, 0, data.ends[0])
        length = self._stream_length(data, recipe)
        x, y = (
            array[:, : recipe.batch_size * length].reshape(
                len(array) * recipe.batch_size, length, -1
            )
            for array in found
        )
        return ShuffledArrays(x, y, batch_size=len(x), seed=None)

    def held_out(self, data: Series, recipe: ForecastRecipe, part: str) -> Any:
        """One stream; all that precedes the part is an unscored warm-up."""
        # Keras: put off.
        from zoo.fitting.batches import WeighedStream

        x, y, scored = stream(data, recipe, part)
        return WeighedStream(
            x, y, scored.astype(np.float32), window=recipe.finite_window
        )

    def watched(self, data: Series, recipe: ForecastRecipe) -> Any:
        x, y = pairs(data, recipe, *data.span("validation"))
        steps = min(x.shape[1], 3 * recipe.finite_window)
        return (x[:4, :steps], y[:4, :steps]) if steps > 2 else None

    def updates_per_epoch(self, data: Series, recipe: ForecastRecipe) -> int:
        return -(-self._stream_length(data, recipe) // recipe.finite_window)

    def levels(
        self, data: Series, recipe: ForecastRecipe, part: str
    ) -> dict[str, float]:
        """Errors of the naive forecasts and of a ridge regression (`fit_ridge`)."""
        first, end = data.span(part)
        places = np.arange(first - 1, end - recipe.horizon)
        known = data.scaled()[:, list(data.targets)]
        y = ahead(known, places, recipe.horizon)
        guesses: dict[str, Any] = {
            "seasonal naive": naive_forecast(
                known, places, recipe.horizon, recipe.season
            ),
            "last value": naive_forecast(known, places, recipe.horizon, 1),
            "mean of the training part": 0.0,
            "ridge regression": data.ridge(recipe).forecast(known, places),
        }
        return {k: float(((v - y) ** 2).mean()) for k, v in guesses.items()}

    def processing(self, data: Series, recipe: ForecastRecipe) -> dict[str, Any]:
        mean, deviation = data.scaling()
        known = {
            "columns": list(data.columns),
            "forecast": [data.columns[i] for i in data.targets],
            "mean": mean.tolist(),
            "deviation": deviation.tolist(),
            **({"reading": data.reading} if data.reading else {}),
        }
        if recipe.base == "ridge" or data.own_ridge is not None:
            known["ridge"] = (data.own_ridge or data.ridge(recipe)).to_json()
        if data.share != 1:
            known["share"] = data.share
        return known

    def tempered(
        self, model: keras.Model, data: Series, recipe: ForecastRecipe
    ) -> Series | None:
        """For the user's own table, mixes the forecasts with the ridge regression's.

        A model that corrects the regression is either kept or replaced by it.
        """
        if data.table is None or data.share != 1:
            return None
        share = clear_share(model, data, recipe)
        if share == 1:
            return None
        for weight in model.layers[-1].weights:
            weight.assign(share * weight)
        if recipe.base == "ridge":
            return data
        return dataclasses.replace(data, own_ridge=data.ridge(recipe), share=share)

    def finished(
        self, model: keras.Model, data: Series, recipe: ForecastRecipe
    ) -> dict[str, Any]:
        """Prediction intervals, from the errors on the validation part."""
        return {"intervals": measured_intervals(model, data, recipe)}

    def reading_of(self, processing: dict[str, Any]) -> dict[str, Any]:
        return reading_of(processing, self.READING)

    def adapted(self, data: Series, stored: Stored[ForecastRecipe]) -> Series:
        """The series with the columns and the scaling of a trained model."""
        known = stored.processing
        return dataclasses.replace(
            data,
            values=arranged(stored, list(data.columns), data.values),
            columns=tuple(known["columns"]),
            targets=tuple(targets_of(stored)),
            own_scaling=(np.array(known["mean"]), np.array(known["deviation"])),
            own_ridge=ridge_of(stored),
            share=share_of(stored),
        )

    def build_model(self, data: Series, recipe: ForecastRecipe) -> keras.Sequential:
        # Keras: put off.
        import keras

        from zoo.layers.recurrent import recurrent_stack

        features, outputs = model_sizes(len(data.columns), len(data.targets), recipe)
        # The regression is a good forecast: the model starts without a correction.
        start = {"kernel_initializer": "zeros"} if recipe.base == "ridge" else {}
        return keras.Sequential(
            [
                keras.layers.Input((None, features)),
                *recurrent_stack(recipe, return_sequences=True),
                keras.layers.Dense(outputs, dtype="float32", **start),
            ]
        )

    def build_loss(self) -> keras.losses.Loss:
        # Keras: put off.
        import keras

        return keras.losses.MeanSquaredError()
