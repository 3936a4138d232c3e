"""Forecast a series: the next values from all that came before."""

from __future__ import annotations

import dataclasses

import numpy as np

from zoo.errors import UserError
from zoo.recipe import Recipe, one_of
from zoo.tasks.task import PARTS, Metric, Task


@dataclasses.dataclass(frozen=True)
class ForecastRecipe(Recipe):
    """`Recipe`, and what is forecast.

    Args:
        horizon: Timesteps that are forecast at once, at least 1.
        season: Timesteps of a season, for the naive forecast; at least 1, which repeats
            the last value.
        base: Naive forecast that the model corrects: `season`, or `last` for the last
            value.
        target: Name of the forecast column; None: all columns.
        inputs: What the model reads: `values`, standardised; or `changes`, how each
            differs from the one a season before and from the last one, which do not
            drift away from what training has shown.
        columns: `together`: the model reads and forecasts all of them at once; or
            `apart`: each by itself, by the same model.
    """

    horizon: int = 24
    season: int = 24
    base: str = one_of(("season", "last"), "season")
    target: str | None = None
    inputs: str = one_of(("values", "changes"), "values")
    columns: str = one_of(("together", "apart"), "together")

    def __post_init__(self):
        super().__post_init__()
        self.require("horizon", self.horizon >= 1, "at least 1")
        self.require("season", self.season >= 1, "at least 1")

    @property
    def period(self) -> int:
        """Timesteps that the naive forecast repeats, to be corrected by the model."""
        return self.season if self.base == "season" else 1


@dataclasses.dataclass(frozen=True)
class Series:
    """A table of values over time, cut into three parts.

    Args:
        name: What reports call it.
        columns: Names of the columns.
        values: `(timesteps, columns)`.
        ends: Timesteps where the training, validation and test parts end.
        targets: Places of the forecast columns.
        source: Where it comes from.
        own_scaling: Mean and standard deviation of each column that a trained model
            wants; None: those of the training part.
    """

    name: str
    columns: tuple[str, ...]
    values: np.ndarray
    ends: tuple[int, int, int]
    targets: tuple[int, ...]
    source: str
    own_scaling: tuple[np.ndarray, np.ndarray] | None = None

    def scaling(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of each column, of the training part or given."""
        if self.own_scaling is not None:
            return self.own_scaling
        train = self.values[: self.ends[0]]
        return train.mean(axis=0), np.maximum(train.std(axis=0), 1e-9)

    def scaled(self) -> np.ndarray:
        """All values, standardised by the training part."""
        mean, deviation = self.scaling()
        return (self.values - mean) / deviation

    def span(self, part: str) -> tuple[int, int]:
        """First timestep of a part, and the one after its last."""
        index = PARTS.index(part)
        return (0, *self.ends)[index], self.ends[index]

    def describe(self) -> dict:
        """Facts for the metadata of a model."""
        sizes = {f"{p}_timesteps": int(np.diff(self.span(p))[0]) for p in PARTS}
        return {
            "name": self.name,
            "source": self.source,
            "columns": list(self.columns),
            "forecast": [self.columns[i] for i in self.targets],
            **sizes,
        }


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
    OWN_DATA = "a CSV file with a heading, oldest row first"

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
            ends = _shares(len(table["values"]))
        source = builder.FILES[0].url
        return _series(dataset, columns, table["values"], ends, recipe, source)

    def from_file(self, path, recipe, **reading):
        from zoo.datasets.own_table import read_table

        name, columns, values = read_table(path)
        ends = _shares(len(values))
        return _series(name, columns, values, ends, recipe, "own file")

    def check(self, data, recipe):
        self.require_window(recipe, "a table, which is one long stream")
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

    def _stream_length(self, data, recipe):
        return (data.ends[0] - recipe.horizon) // recipe.batch_size

    def training(self, data, recipe, epoch=0):
        """Side by side as many pieces of each series as `batch_size` says."""
        from zoo.batches import ShuffledArrays

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
        from zoo.batches import WeighedStream

        first, end = data.span(part)
        # Whole windows: the first, unscored timesteps make up for it.
        start = (end - recipe.horizon) % recipe.window
        x, y = self._pairs(data, recipe, start, end)
        # From the last timestep before the part on, all that is forecast lies in it.
        places = np.arange(start, start + x.shape[1])
        weights = (places >= first - 1).astype(np.float32)
        return WeighedStream(x, y, weights, window=recipe.window)

    def _pairs(self, data, recipe, first, end):
        """Inputs, and the corrections that are asked for: `(rows, n, ...)` each."""
        scaled = data.scaled()
        known = scaled[:, list(data.targets)]
        places = np.arange(first, end - recipe.horizon)
        y = _ahead(known, places, recipe.horizon)
        y = y - naive_forecast(known, places, recipe.horizon, recipe.period)
        x = model_inputs(scaled, data.targets, recipe)[:, places]
        return x, _in_rows(y, recipe).astype(np.float32)

    def watched(self, data, recipe):
        x, y = self._pairs(data, recipe, *data.span("validation"))
        steps = min(x.shape[1], 3 * recipe.window)
        return (x[:4, :steps], y[:4, :steps]) if steps > 2 else None

    def updates_per_epoch(self, data, recipe):
        return -(-self._stream_length(data, recipe) // recipe.window)

    def levels(self, data, recipe, part):
        """Errors of the naive forecasts."""
        first, end = data.span(part)
        places = np.arange(first - 1, end - recipe.horizon)
        known = data.scaled()[:, list(data.targets)]
        y = _ahead(known, places, recipe.horizon)
        guesses = {
            "seasonal naive": naive_forecast(
                known, places, recipe.horizon, recipe.season
            ),
            "last value": naive_forecast(known, places, recipe.horizon, 1),
            "mean of the training part": 0.0,
        }
        return {k: float(((v - y) ** 2).mean()) for k, v in guesses.items()}

    def processing(self, data):
        mean, deviation = data.scaling()
        return {
            "columns": list(data.columns),
            "forecast": [data.columns[i] for i in data.targets],
            "mean": mean.tolist(),
            "deviation": deviation.tolist(),
        }

    def adapted(self, data, preset):
        """The series with the columns and the scaling that a preset knows."""
        from zoo.forecasts import arranged

        known = preset.processing
        values = arranged(preset, list(data.columns), data.values)
        return dataclasses.replace(
            data,
            columns=tuple(known["columns"]),
            values=values,
            targets=tuple(known["columns"].index(name) for name in known["forecast"]),
            own_scaling=(np.array(known["mean"]), np.array(known["deviation"])),
        )

    def build_model(self, data, recipe):
        import keras

        from zoo.tasks.layers import recurrent_stack

        features, outputs = model_sizes(len(data.columns), len(data.targets), recipe)
        return keras.Sequential(
            [
                keras.layers.Input((None, features)),
                *recurrent_stack(recipe, return_sequences=True),
                keras.layers.Dense(outputs, dtype="float32"),
            ]
        )

    def build_loss(self):
        import keras

        return keras.losses.MeanSquaredError()

    def next_steps(self, folder):
        command = f"bptt-zoo forecast {folder} --data FILE.csv"
        return [("forecast", command), *super().next_steps(folder)]


def model_sizes(columns: int, targets: int, recipe: ForecastRecipe) -> tuple[int, int]:
    """Numbers that the model reads and that it answers with, a timestep.

    Args:
        columns: Number of columns.
        targets: Number of forecast columns.
        recipe: Says what is read, and how far ahead is forecast.
    """
    together = recipe.columns == "together"
    features = (columns if together else 1) * (2 if recipe.inputs == "changes" else 1)
    return features, recipe.horizon * (targets if together else 1)


def model_inputs(
    scaled: np.ndarray, targets: tuple[int, ...] | list[int], recipe: ForecastRecipe
) -> np.ndarray:
    """What the model reads of a series.

    Args:
        scaled: Standardised values `(timesteps, columns)`.
        targets: Places of the forecast columns.
        recipe: Says what is read.

    Returns:
        `(rows, timesteps, features)` in float32: one row of all columns, or a row for
        each forecast column.
    """
    read = scaled if recipe.columns == "together" else scaled[:, list(targets)]
    read = read[..., None]
    if recipe.inputs == "changes":
        back = np.arange(len(read))[:, None] - np.array([recipe.season, 1])
        # Before the first timestep all values are the first one.
        before = read[:, :, 0][np.maximum(back, 0)].swapaxes(1, 2)
        read = read - before
    return _in_rows(read.swapaxes(1, 2), recipe).astype(np.float32)


def _in_rows(values: np.ndarray, recipe: ForecastRecipe) -> np.ndarray:
    """`(n, k, columns)` as `(1, n, k * columns)`, or as `(columns, n, k)` if apart."""
    if recipe.columns == "together":
        return values.reshape(1, len(values), -1)
    return np.moveaxis(values, 2, 0)


def naive_forecast(
    known: np.ndarray, places: np.ndarray, horizon: int, season: int
) -> np.ndarray:
    """What the latest season says of the values after some timesteps.

        f(t + k) = known(t + k - ceil(k / season) season),  k = 1 ... horizon

    and the first value for what lies before it.

    Args:
        known: Values `(timesteps, targets)`.
        places: Timesteps t, `(n,)`.
        horizon: Timesteps that are forecast.
        season: Timesteps of a season; 1 repeats the last value.

    Returns:
        `(n, horizon, targets)`.
    """
    steps = np.arange(1, horizon + 1)
    back = -(-steps // season) * season
    return known[np.maximum(places[:, None] + steps - back, 0)]


def _ahead(known, places, horizon):
    """The values after timesteps: `(n, horizon, targets)`."""
    return known[places[:, None] + np.arange(1, horizon + 1)]


def _shares(length: int) -> tuple[int, int, int]:
    """70, 10 and 20 % of a series."""
    return round(0.7 * length), round(0.8 * length), length


def _series(name, columns, values, ends, recipe, source) -> Series:
    if recipe.target is None:
        targets = tuple(range(len(columns)))
    elif recipe.target in columns:
        targets = (list(columns).index(recipe.target),)
    else:
        raise UserError(
            f"--target names no column of {name}: {recipe.target!r}. There are: "
            f"{', '.join(columns)}."
        )
    return Series(name, tuple(columns), np.asarray(values), ends, targets, source)
