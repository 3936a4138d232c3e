"""Forecast a series: the next values from all that came before."""

from __future__ import annotations

import dataclasses

import numpy as np

from zoo.forecasting.defaults import fitted_recipe
from zoo.forecasting.inputs import in_rows, model_inputs, model_sizes
from zoo.forecasting.limits import require_sizes
from zoo.forecasting.recipe import ForecastRecipe
from zoo.forecasting.rules import ahead, naive_forecast
from zoo.forecasting.series import FEWEST, series_of, shares
from zoo.system.errors import UserError
from zoo.tables.options import FRACTIONS, OPTIONS
from zoo.tasks.task import PARTS, Metric, Task


class Forecasting(Task):
    """Forecasting.

    The series is one stream. After each timestep t the values at t + 1 ... t + horizon
    of the forecast columns are predicted, from the carried state: as corrections of a
    naive forecast, the last season or the last value. The metric is the mean squared
    error over all of them, in units of the training part's variance.

    The seasonal naive forecast repeats the last season: for t + k the value of the
    latest timestep, not after t, that is whole seasons before it.
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
        # Reading values, and all columns together, it learns nothing beyond the season
        # (0.425): the test part has other levels than the training part.
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

    def load(self, dataset, data_dir, recipe):
        from zoo.datasets.builder import load_parts
        from zoo.datasets.series import EttH1, Sunspots

        builder = {"etth1": EttH1, "sunspots": Sunspots}[dataset]
        (table,) = load_parts(builder, data_dir)["series"]
        columns = [name.decode("utf-8") for name in table["columns"]]
        if dataset == "etth1":
            # 12, 4 and 4 months of 30 days.
            ends = tuple(30 * 24 * months for months in (12, 16, 20))
        else:
            ends = shares(len(table["values"]), validation=0.1)
        source = builder.FILES[0].url
        return series_of(dataset, columns, table["values"], ends, recipe, source)

    def from_file(
        self, path, recipe, *, needed=(), validation=None, test=None, **reading
    ):
        from zoo.tables.own_table import read_table

        table = read_table(path, needed=needed, **reading)
        if len(table.values) < FEWEST:
            raise UserError(
                f"`--data` is too short to forecast: {table.name} has "
                f"{len(table.values)} rows, at least {FEWEST} are needed."
            )
        ends = shares(len(table.values), validation, test)
        fractions = {"validation": validation, "test": test}
        reading |= {k: v for k, v in fractions.items() if v is not None}
        source = "own file"
        return series_of(
            *(table.name, table.columns, table.values, ends, recipe, source),
            table=table,
            reading=reading,
        )

    def fitted(self, data, recipe, given):
        return fitted_recipe(data, recipe, given)

    def check(self, data, recipe):
        self.require_window(recipe, "a table, which is one long stream")
        if recipe.season >= data.ends[0]:
            raise UserError(
                f"--season must be shorter than what {data.name} has to learn from: "
                f"{data.ends[0]:,} timesteps. Received: {recipe.season:,}"
            )
        length = self._stream_length(data, recipe)
        if length < recipe.window:
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

    def _stream_length(self, data, recipe):
        return (data.ends[0] - recipe.horizon) // recipe.batch_size

    def training(self, data, recipe, epoch=0):
        """Side by side as many pieces of each series as `batch_size` says."""
        from zoo.fitting.batches import ShuffledArrays

        pairs = self._pairs(data, recipe, 0, data.ends[0])
        length = self._stream_length(data, recipe)
        x, y = (
            array[:, : recipe.batch_size * length].reshape(
                len(array) * recipe.batch_size, length, -1
            )
            for array in pairs
        )
        return ShuffledArrays(x, y, batch_size=len(x), seed=None)

    def held_out(self, data, recipe, part):
        """One stream, with all before the part to warm up, unscored."""
        from zoo.fitting.batches import WeighedStream

        x, y, scored = self.stream(data, recipe, part)
        return WeighedStream(x, y, scored.astype(np.float32), window=recipe.window)

    def stream(self, data, recipe, part):
        """Inputs and corrections up to the end of a part, and which timesteps count."""
        first, end = data.span(part)
        # Whole windows: the first, unscored timesteps make up for it.
        start = (end - recipe.horizon) % recipe.window
        x, y = self._pairs(data, recipe, start, end)
        # From the last timestep before the part on, all that is forecast lies in it.
        return x, y, np.arange(start, start + x.shape[1]) >= first - 1

    def _pairs(self, data, recipe, first, end):
        """Inputs, and the corrections that are asked for: `(rows, n, ...)` each."""
        scaled = data.scaled()
        known = scaled[:, list(data.targets)]
        places = np.arange(first, end - recipe.horizon)
        y = ahead(known, places, recipe.horizon)
        y = y - data.base(known, places, recipe)
        x = model_inputs(scaled, data.targets, recipe)[:, places]
        return x, in_rows(y, recipe).astype(np.float32)

    def watched(self, data, recipe):
        x, y = self._pairs(data, recipe, *data.span("validation"))
        steps = min(x.shape[1], 3 * recipe.window)
        return (x[:4, :steps], y[:4, :steps]) if steps > 2 else None

    def updates_per_epoch(self, data, recipe):
        return -(-self._stream_length(data, recipe) // recipe.window)

    def levels(self, data, recipe, part):
        """Errors of the naive forecasts, and of a ridge regression (`fit_ridge`)."""
        first, end = data.span(part)
        places = np.arange(first - 1, end - recipe.horizon)
        known = data.scaled()[:, list(data.targets)]
        y = ahead(known, places, recipe.horizon)
        guesses = {
            "seasonal naive": naive_forecast(
                known, places, recipe.horizon, recipe.season
            ),
            "last value": naive_forecast(known, places, recipe.horizon, 1),
            "mean of the training part": 0.0,
            "ridge regression": data.ridge(recipe).forecast(known, places),
        }
        return {k: float(((v - y) ** 2).mean()) for k, v in guesses.items()}

    def processing(self, data):
        mean, deviation = data.scaling()
        return {
            "columns": list(data.columns),
            "forecast": [data.columns[i] for i in data.targets],
            "mean": mean.tolist(),
            "deviation": deviation.tolist(),
            **({"reading": data.reading} if data.reading else {}),
        }

    def processing_for(self, data, recipe):
        known = self.processing(data)
        if recipe.base == "ridge" or data.own_ridge is not None:
            known["ridge"] = (data.own_ridge or data.ridge(recipe)).to_json()
        if data.share != 1:
            known["share"] = data.share
        return known

    def tempered(self, model, data, recipe):
        """Of one's own table: mixes the forecasts with those of the ridge regression.

        A model that corrects the regression is kept, or gives way to it.
        """
        from zoo.forecasting.mixture import clear_share

        if data.table is None or data.share != 1:
            return None
        share = clear_share(self, model, data, recipe)
        if share == 1:
            return None
        for weight in model.layers[-1].weights:
            weight.assign(share * weight)
        if recipe.base == "ridge":
            return data
        return dataclasses.replace(data, own_ridge=data.ridge(recipe), share=share)

    def conclude(self, run, preset):
        """Says what share the network has in the forecasts, if not the whole."""
        share = preset.processing.get("share", 1)
        output = preset.model.layers[-1].get_weights()
        if run.data.table is None:
            return
        if not any(map(np.any, output)):
            print(
                "The network was no clear gain over the ridge regression on the "
                "validation part: forecasts are those of the regression."
            )
        elif share != 1:
            print(
                f"Forecasts are a mixture with the least error on the validation part: "
                f"{share:.0%} network, {1 - share:.0%} ridge regression."
            )

    def finished(self, model, data, recipe):
        """Prediction intervals, from the errors of the validation part."""
        from zoo.forecasting.intervals import measured_intervals

        return {"intervals": measured_intervals(self, model, data, recipe)}

    def reading_of(self, preset):
        from zoo.store.forecasting import reading_of

        return reading_of(preset.processing, self.READING)

    def adapted(self, data, preset):
        """The series with the columns and the scaling that a preset knows."""
        from zoo.products.forecasts import arranged, ridge_of, share_of

        known = preset.processing
        values = arranged(preset, list(data.columns), data.values)
        return dataclasses.replace(
            data,
            columns=tuple(known["columns"]),
            values=values,
            targets=tuple(known["columns"].index(name) for name in known["forecast"]),
            own_scaling=(np.array(known["mean"]), np.array(known["deviation"])),
            own_ridge=ridge_of(preset),
            share=share_of(preset),
        )

    def build_model(self, data, recipe):
        import keras

        from zoo.layers.recurrent import recurrent_stack

        features, outputs = model_sizes(len(data.columns), len(data.targets), recipe)
        # A regression is a good forecast: begin with it as it is.
        start = {"kernel_initializer": "zeros"} if recipe.base == "ridge" else {}
        return keras.Sequential(
            [
                keras.layers.Input((None, features)),
                *recurrent_stack(recipe, return_sequences=True),
                keras.layers.Dense(outputs, dtype="float32", **start),
            ]
        )

    def build_loss(self):
        import keras

        return keras.losses.MeanSquaredError()

    def next_steps(self, folder):
        command = f"bptt-zoo forecast {folder} --data FILE.csv"
        return [("forecast", command), *super().next_steps(folder)]
