"""`bptt-zoo forecast`: forecasts the values after the end of a table."""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path
from typing import Annotated, Any

from zoo.cli.command import Command
from zoo.cli.options import Keyword, read, refuse_empty
from zoo.cli.parser import Parser
from zoo.cli.shared import PresetName
from zoo.cli.task_command import add_reading
from zoo.products.output import ForecastTable
from zoo.store.check import check_preset, read_known_metadata
from zoo.store.hub import locate_files
from zoo.system.errors import UserError
from zoo.system.files import write_text
from zoo.system.output import output_file
from zoo.system.quiet import import_tensorflow
from zoo.tables.options import OPTIONS, reading_of
from zoo.tables.own_table import read_table
from zoo.tasks import TASKS

# A model reads the columns that it was trained on.
_READING = [option for option in OPTIONS if option.name != "columns_used"]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """The options of this command.

    Args:
        reading: Options for reading the table that were given.
    """

    preset: PresetName
    data: Annotated[
        str,
        Keyword(
            "with the columns that the preset was trained on, oldest row first",
            "FILE.csv",
        ),
    ]
    out: Annotated[
        str | None,
        Keyword("the forecast (default: NAME-forecast.csv in this folder)", "FILE.csv"),
    ] = None
    reading: dict[str, Any]


class _Command(Command):
    """A command with the options for reading a table."""

    def fill(self, parser: Parser) -> None:
        super().fill(parser)
        words = "How it is read; what is left out is as it was in the training."
        group = parser.group("table", words)
        for option in _READING:
            add_reading(group, option, option.help)

    def read(self, namespace: argparse.Namespace) -> Options:
        said = {option.name: getattr(namespace, option.name) for option in _READING}
        for name, value in said.items():
            refuse_empty(name, value)
        reading = {name: value for name, value in said.items() if value is not None}
        return read(Options, namespace, reading=reading)


def forecast(options: Options) -> None:
    """Writes the forecast of a table as CSV and as a plot, and prints it."""
    files = locate_files(options.preset)
    task = read_known_metadata(files.folder)["task"]
    if task != "forecasting":
        raise UserError(f"This preset is one of {task}; it must be one of forecasting.")
    name = f"{Path(options.data).stem}-forecast.csv"
    out = output_file(options.out or name, (".csv",), keep=options.data)
    checked = check_preset(files)
    stored = reading_of(checked.config["processing"], OPTIONS)
    table = read_table(options.data, **{**stored, **options.reading})
    import_tensorflow()
    # Put off: they import TensorFlow.
    from zoo.products import forecasts
    from zoo.store.preset import load_preset

    preset = load_preset(checked)
    values = forecasts.arranged(preset, list(table.columns), table.values)
    ahead = forecasts.forecast(preset, values)
    widths = forecasts.half_widths(preset, values)
    names = preset.processing["forecast"]
    written = ForecastTable.of(table.clock, names, ahead, widths)
    write_text(out, written.csv())
    picture = out.with_suffix(".png")
    _draw(picture, preset, table, values=values, ahead=ahead, widths=widths)
    print(table.summary)
    print(f"{table.name}: the {len(ahead)} timesteps after its {len(values):,}")
    print(written.shown())
    print(_trust(preset.metadata))
    if widths is not None:
        print(_intervals(preset.processing["intervals"]))
    print(f"table:   {out}\npicture: {picture}")


def _draw(
    path: Path, preset: Any, table: Any, *, values: Any, ahead: Any, widths: Any
) -> None:
    """Plots the end of a table, the forecast and the naive forecast."""
    # Put off: they import TensorFlow and Matplotlib.
    from zoo.products import forecasts
    from zoo.products.pictures import plot_forecast

    names = preset.processing["forecast"]
    # A `ForecastRecipe`.
    recipe: Any = TASKS["forecasting"].recipe_from(preset.metadata["recipe"])
    period = forecasts.naive_period(recipe, len(values))
    shown = max(3 * recipe.horizon, min(2 * period, 10 * recipe.horizon))
    places = {name: place for place, name in enumerate(preset.processing["columns"])}
    plot_forecast(
        path,
        values[-shown:, [places[name] for name in names]],
        ahead,
        forecasts.naive(preset, values),
        names=names,
        rule="last value" if period == 1 else f"last {period} timesteps again",
        title=f"forecast of {table.name}",
        widths=widths,
        clock=table.clock,
    )


def _intervals(found: dict[str, Any]) -> str:
    """Describes where the prediction intervals come from, and their coverage."""
    return (
        f"{found['level']:.0%} intervals (low, high): from the errors of "
        f"{found['forecasts']:,} forecasts of the validation part; of the test part's "
        f"values {found['coverage']:.0%} lay within"
    )


def _trust(metadata: dict[str, Any]) -> str:
    """Describes the model's error, compared with that of naive forecasts."""
    metric = metadata["metric"]
    errors = {"this model": metric["value"], **metadata["baselines"]}
    return (
        f"{metric['name']} on the {metric['part']} part of {metadata['data']['name']}: "
        + ", ".join(f"{name} {error:.4g}" for name, error in errors.items())
    )


COMMAND = _Command(
    "Writes the next values, with 90 %% intervals, as a CSV file, and beside it a PNG "
    "plot of them, of the end of the table, and of the naive forecast.",
    Options,
    forecast,
)
