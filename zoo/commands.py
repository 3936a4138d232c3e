"""What the commands of `bptt-zoo` do, after their options have been read."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from zoo import products
from zoo.errors import UserError
from zoo.hub import locate
from zoo.preset_folder import read_metadata
from zoo.quiet import import_tensorflow
from zoo.report import SECOND, cells, result_table, worded
from zoo.tasks import TASKS

JIT = {"auto": "auto", "on": True, "off": False}


def train(arguments) -> None:
    """Trains a model, writes everything below `--out`, prints result and sample."""
    from zoo.files import prepare_output

    task = TASKS[arguments.task]
    own = getattr(arguments, "data", None)
    dataset = None if own is not None else arguments.dataset or task.DATASETS[0]
    recipe, given = _recipe(task, dataset, arguments)
    out = prepare_output(arguments.out, overwrite=arguments.overwrite)
    origin = {"dataset": dataset, "data": own, "data_dir": arguments.data_dir}
    origin["reading"] = reading_options(task, arguments)
    if own is None:
        import_tensorflow()
    data = load_data(task, recipe, **origin)
    if own is not None and arguments.recipe is None:
        recipe = task.fitted(data, recipe, given)
    task.check(data, recipe)
    import_tensorflow()
    from zoo.training import WRITTEN, Run

    prepare_output(out, overwrite=True, names=WRITTEN)
    run = Run(task, data, recipe, out, jit=JIT[arguments.jit], origin=origin)
    _fit(run)


def resume(arguments) -> None:
    """Goes on with a training that was interrupted."""
    from zoo.checkpoint import read_state

    state = read_state(arguments.run)
    try:
        task = TASKS[state["origin"]["task"]]
        recipe = task.recipe_from(state["recipe"])
        names = ("dataset", "data", "data_dir", "reading")
        places = {k: state["origin"][k] for k in names}
        jit = state["origin"]["jit"]
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"The checkpoint in {arguments.run} is damaged: {error}"
        ) from None
    import_tensorflow()
    data = load_data(task, recipe, **places)

    from zoo.training import Run

    run = Run(task, data, recipe, Path(arguments.run), jit=jit, origin=places)
    _fit(run, stop=arguments.stop)


def _fit(run, *, stop: bool = False) -> None:
    _announce(run)
    try:
        preset = run.fit(stop=stop)
    except KeyboardInterrupt:
        if run.preset_folder.exists():
            print(
                f"\nInterrupted. The best model so far is in {run.preset_folder}; "
                f"go on with: bptt-zoo resume {run.out}"
            )
        raise
    _conclude(run, preset)


def generate(arguments) -> None:
    """Continues a text or a piece of music, whatever the preset was trained for."""
    folder = locate(arguments.preset)
    name = read_metadata(folder)["task"]
    kind = TASKS[name].CONTINUES
    if kind is None:
        able = ", ".join(task.NAME for task in TASKS.values() if task.CONTINUES)
        raise UserError(
            f"This preset is one of {name}, which generates nothing. Presets of these "
            f"tasks do: {able}."
        )
    {"text": _continue_text, "music": products.compose}[kind](folder, arguments)


def _continue_text(folder, arguments) -> None:
    """Prints a prompt and its continuation."""
    for option in ("out", "tempo", "frames_per_beat"):
        if getattr(arguments, option) is not None:
            option = option.replace("_", "-")
            raise UserError(f"`--{option}` is for music, and this preset makes text.")
    if arguments.prompt is None:
        raise UserError("`--prompt` must say how the text begins.")
    import_tensorflow()
    from zoo import sampling
    from zoo.preset import load_preset

    options = {
        "length": 500 if arguments.length is None else arguments.length,
        "temperature": arguments.temperature,
        "seed": arguments.seed,
    }
    sampling.check_options(**options)
    preset = load_preset(folder)
    print(arguments.prompt + sampling.generate(preset, arguments.prompt, **options))


def forecast(arguments) -> None:
    """Writes what comes after the end of a table."""
    products.forecast(locate(arguments.preset), arguments)


def predict(arguments) -> None:
    """Writes the classes of series."""
    products.predict(locate(arguments.preset), arguments)


def evaluate(arguments) -> None:
    """Prints the metric of a preset on a held-out part."""
    folder = locate(arguments.preset)
    import_tensorflow()
    from zoo.evaluation import evaluate as measured
    from zoo.preset import load_preset

    preset = load_preset(folder)
    task, known = TASKS[preset.metadata["task"]], preset.metadata["data"]
    dataset, own = arguments.dataset, arguments.data
    if dataset is None and own is None:
        if known["name"] not in task.DATASETS:
            raise UserError(
                f"This preset was trained on data of its own, {known['name']}. Name "
                "them, or others, with --data."
            )
        dataset = known["name"]
    if dataset is not None and dataset not in task.DATASETS:
        raise UserError(
            f"--dataset must be one of {task.NAME}: {', '.join(task.DATASETS)}. "
            f"Received: {dataset}"
        )
    recipe = task.recipe_from(preset.metadata["recipe"])
    data = load_data(
        task, recipe, dataset=dataset, data=own, data_dir=arguments.data_dir
    )
    part = task.parts(data)[-1]
    value = measured(preset, data, part)
    stored = preset.metadata["metric"]
    same = data.describe() == known
    if arguments.json:
        found = {"data": data.name, "part": part, "metric": task.METRIC.name}
        found |= {"unit": task.METRIC.unit, "value": value, "trained_on_these": same}
        print(json.dumps(found, indent=2))
        return
    shown = worded(value, task.METRIC.unit)
    print(f"{data.name}, {part} part: {task.METRIC.name} {shown}")
    if same:
        before = worded(stored["value"], task.METRIC.unit)
        print(f"stored in the preset, same data: {before}")
        return
    print(f"The preset was trained on other data: {known['name']}.")
    for line in task.remarks(data, preset):
        print(line)


def report(arguments) -> None:
    """Writes the HTML page of a training run and prints where it is."""
    import_tensorflow()
    from zoo.run_report import write_run_report

    print(write_run_report(arguments.run, arguments.out))


def _recipe(task, dataset, arguments):
    """The default recipe or that of a file, changed by options, and their names."""
    recipe = starting_recipe(task, dataset, arguments.recipe)
    names = {field.name for field in dataclasses.fields(recipe)}
    given = {k: v for k, v in vars(arguments).items() if k in names and v is not None}
    for name in ("clip", "window", "mean_window", "average_after"):
        # 0: none at all.
        if given.get(name) == 0:
            given[name] = None
    try:
        return dataclasses.replace(recipe, **given), frozenset(given)
    except ValueError as error:
        raise UserError(str(error)) from None


def reading_options(task, arguments) -> dict:
    """The options of a task on how own data are read, as far as they were given.

    Raises:
        UserError: If one is given and the data are not the user's own.
    """
    values = {o.name: getattr(arguments, o.name, None) for o in task.READING}
    given = {name: value for name, value in values.items() if value is not None}
    if given and arguments.data is None:
        option = next(iter(given)).replace("_", "-")
        raise UserError(f"`--{option}` goes with --data.")
    return given


def starting_recipe(task, dataset, path):
    """The default recipe of a data set, or the one that a tuning job has written.

    Raises:
        UserError: If the file has no recipe of the task.
    """
    if path is None:
        return task.recipe_for(dataset)
    try:
        stored = json.loads(Path(path).read_text(encoding="utf-8"))
        name, recipe = stored["task"], stored["recipe"]
        if name != task.NAME:
            raise UserError(
                f"The recipe in {path} is one of {name}, not of {task.NAME}."
            )
        return task.recipe_from(recipe)
    except FileNotFoundError:
        raise UserError(f"There is no recipe {path}.") from None
    except (OSError, KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path} holds no recipe of {task.NAME}: {error!r}") from None


def load_data(task, recipe, *, dataset, data, data_dir, reading=None):
    """Data by name, or the user's own, read as the options say."""
    if data is None:
        return task.load(dataset, data_dir, recipe)
    if data_dir is not None:
        raise UserError("`--data-dir` goes with --dataset, not with --data.")
    return task.from_file(data, recipe, **(reading or {}))


def _announce(run) -> None:
    facts = run.facts
    metric = run.task.METRIC
    levels = ", ".join(_level(k, v, metric) for k, v in facts["baselines"].items())
    sizes = ", ".join(
        f"{k.replace('_', ' ')} {v:,}"
        for k, v in facts["data"].items()
        if isinstance(v, int)
    )
    unit = f", in {metric.unit}" if metric.unit else ""
    print(f"{run.task.NAME} on {run.data.name}: {sizes}")
    print(f"to beat ({metric.name}{unit}): {levels}")


def _level(name, value, metric) -> str:
    shown, second = f"{name} {value:.4g}", SECOND.get(metric.unit)
    if second is None:
        return shown
    return f"{shown} ({cells(value, metric.unit)[1]} {second.name})"


def _conclude(run, preset) -> None:
    print(f"\n{result_table(preset.metadata)}")
    run.task.conclude(run, preset)
    print(f"\nhistory and plots: {run.out}\npreset:            {run.preset_folder}")
    for words, command in run.task.next_steps(run.preset_folder):
        print(f"{words + ':':19}{command}")
    print(f"see how it went:   bptt-zoo report {run.out}")
