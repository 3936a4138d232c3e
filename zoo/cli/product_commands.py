"""The commands that write what a model makes: music, a forecast, classes."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from zoo.music.midi import check_speed, write_midi
from zoo.music.pieces import FRAMES_PER_BEAT
from zoo.products.output import ForecastTable
from zoo.store.check import check_preset, read_known_metadata
from zoo.store.files import PresetFiles
from zoo.system.errors import UserError
from zoo.system.files import write_text
from zoo.system.output import output_file
from zoo.system.quiet import import_tensorflow
from zoo.tables.options import OPTIONS, reading_of
from zoo.tables.own_table import read_table
from zoo.tasks import TASKS

SHOWN = 12  # classes that are counted in a line


def compose(files: PresetFiles, arguments) -> None:
    """Writes a piece of music and its continuation as MIDI file and picture."""
    if arguments.out is None:
        raise UserError("`--out` must name the MIDI file to write, such as tune.mid.")
    out = output_file(arguments.out, (".mid", ".midi"), keep=arguments.prompt)
    given = {"tempo": arguments.tempo, "frames_per_beat": arguments.frames_per_beat}
    speed = {name: value for name, value in given.items() if value is not None}
    check_speed(**speed)
    checked = check_preset(files)
    import_tensorflow()
    from zoo.products.composing import generate_music, read_prompt, start_chord
    from zoo.products.pictures import plot_roll
    from zoo.store.preset import load_preset

    preset = load_preset(checked)
    name = preset.metadata["data"]["name"]
    known = FRAMES_PER_BEAT.get(name, 1)
    speed.setdefault("frames_per_beat", preset.processing.get("frames_per_beat", known))
    per_beat = speed["frames_per_beat"]
    if arguments.prompt is None:
        prompt = start_chord()
    else:
        prompt = read_prompt(arguments.prompt, per_beat)
    added = generate_music(
        preset,
        prompt,
        length=128 if arguments.length is None else arguments.length,
        temperature=arguments.temperature,
        seed=arguments.seed,
    )
    roll = np.concatenate([prompt, added])
    picture = out.with_suffix(".png")
    write_midi(out, roll, **speed)
    plot_roll(
        picture,
        roll,
        begin=len(prompt),
        frames_per_beat=per_beat,
        title=f"a model of {name}, temperature {arguments.temperature:g}, seed "
        f"{arguments.seed}",
    )
    if len(added):
        keys = added.sum(axis=1)
        print(
            f"{len(added)} frames added to {len(prompt)}: {keys.mean():.1f} keys a "
            f"frame, {np.mean(keys == 0):.0%} silent"
        )
    print(f"MIDI file: {out}\npicture:   {picture}")


def forecast(files: PresetFiles, arguments) -> None:
    """Writes what comes after the end of a table as CSV and picture, and prints it."""
    task = read_known_metadata(files.folder)["task"]
    if task != "forecasting":
        raise UserError(f"This preset is one of {task}; it must be one of forecasting.")
    name = f"{Path(arguments.data).stem}-forecast.csv"
    out = output_file(arguments.out or name, (".csv",), keep=arguments.data)
    known = OPTIONS
    options = {o.name: getattr(arguments, o.name, None) for o in known}
    given = {name: value for name, value in options.items() if value is not None}
    checked = check_preset(files)
    stored = reading_of(checked.config["processing"], known)
    table = read_table(arguments.data, **{**stored, **given})
    import_tensorflow()
    from zoo.products import forecasts
    from zoo.products.pictures import plot_forecast
    from zoo.store.preset import load_preset

    preset = load_preset(checked)
    values = forecasts.arranged(preset, list(table.columns), table.values)
    ahead, naive = (f(preset, values) for f in (forecasts.forecast, forecasts.naive))
    widths = forecasts.half_widths(preset, values)
    names = preset.processing["forecast"]
    recipe = TASKS["forecasting"].recipe_from(preset.metadata["recipe"])
    period = forecasts.naive_period(recipe, len(values))
    shown = max(3 * recipe.horizon, min(2 * period, 10 * recipe.horizon))
    places = {name: place for place, name in enumerate(preset.processing["columns"])}
    out_table = ForecastTable.of(table.clock, names, ahead, widths)
    write_text(out, out_table.csv())
    picture = out.with_suffix(".png")
    plot_forecast(
        picture,
        values[-shown:, [places[name] for name in names]],
        ahead,
        naive,
        names=names,
        rule="last value" if period == 1 else f"last {period} timesteps again",
        title=f"forecast of {table.name}",
        widths=widths,
        clock=table.clock,
    )
    print(table.summary)
    print(f"{table.name}: the {len(ahead)} timesteps after its {len(values):,}")
    print(out_table.shown())
    print(_trust(preset.metadata))
    if widths is not None:
        print(_intervals(preset.processing["intervals"]))
    print(f"table:   {out}\npicture: {picture}")


def _intervals(found: dict) -> str:
    """Where prediction intervals come from, and what they were worth."""
    return (
        f"{found['level']:.0%} intervals (low, high): from the errors of "
        f"{found['forecasts']:,} forecasts of the validation part; of the test part's "
        f"values {found['coverage']:.0%} lay within"
    )


def predict(files: PresetFiles, arguments) -> None:
    """Writes the classes of series as CSV, and prints how many have which."""
    task = read_known_metadata(files.folder)["task"]
    if task != "classification":
        raise UserError(
            f"This preset is one of {task}; it must be one of classification."
        )
    from zoo.cases.own_cases import read_any

    name = f"{Path(arguments.data).stem}-classes.csv"
    out = output_file(arguments.out or name, (".csv",), keep=arguments.data)
    cases = read_any(arguments.data, fill=arguments.fill)
    import_tensorflow()
    from zoo.products.classes import predict_classes
    from zoo.store.preset import load_preset

    preset = load_preset(files)
    labels, probabilities = predict_classes(preset, [values for values, _ in cases])
    classes = preset.processing["classes"]
    write_text(out, _class_csv(classes, labels, probabilities))
    shown = [(name, labels.count(name)) for name in classes if name in labels]
    counts = ", ".join(f"{name} {count:,}" for name, count in shown[:SHOWN])
    more = ", ..." if len(shown) > SHOWN else ""
    print(f"{Path(arguments.data).name}: {len(labels):,} series: {counts}{more}")
    given = [(label, found) for (_, label), found in zip(cases, labels, strict=True)]
    given = [(label, found) for label, found in given if label is not None]
    if given:
        right = sum(label == found for label, found in given)
        print(f"accuracy: {right / len(given):.4g} of {len(given):,} that have a class")
        strange = sorted({label for label, _ in given} - set(classes))
        if strange:
            print(
                "Classes that the preset does not know, and that count as wrong: "
                f"{', '.join(strange[:5])}"
            )
    print(f"table: {out}")


def _class_csv(classes, labels, probabilities) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["case", "label", *(f"probability {name}" for name in classes)])
    for case, (label, row) in enumerate(zip(labels, probabilities, strict=True), 1):
        writer.writerow([case, label, *(f"{value:.6g}" for value in row)])
    return text.getvalue()


def _trust(metadata: dict) -> str:
    """How good the model was on what it was measured on, beside naive forecasts."""
    metric = metadata["metric"]
    errors = {"this model": metric["value"], **metadata["baselines"]}
    return (
        f"{metric['name']} on the {metric['part']} part of {metadata['data']['name']}: "
        + ", ".join(f"{name} {error:.4g}" for name, error in errors.items())
    )
