"""What the commands of `bptt-zoo` do, after their options have been read."""

from __future__ import annotations

import dataclasses
import json
import os
import sys
from pathlib import Path

from zoo.cli import product_commands as products
from zoo.plain.scales import SECOND, cells, worded
from zoo.plain.suggestions import did_you_mean
from zoo.products.kinds import product_of
from zoo.runs.report import result_table, verdict
from zoo.store.check import check_preset, read_known_metadata
from zoo.store.files import PresetFiles
from zoo.store.hub import locate_files
from zoo.system.errors import UserError
from zoo.system.limits import METADATA
from zoo.system.locks import alone_in
from zoo.system.output import leaves_no_empty_folder, output_file, prepare_output
from zoo.system.quiet import import_tensorflow
from zoo.system.reading import parse_json, read_bytes
from zoo.tasks import TASKS

JIT = {"auto": "auto", "on": True, "off": False}


@leaves_no_empty_folder
def train(arguments) -> None:
    """Trains a model, writes everything below `--out`, prints result and sample."""
    task = TASKS[arguments.task]
    own = getattr(arguments, "data", None)
    dataset = None if own is not None else arguments.dataset or task.DATASETS[0]
    start = None if arguments.start is None else _start(task, arguments)
    recipe, given = _recipe(task, dataset, arguments, start)
    out = prepare_output(arguments.out, overwrite=arguments.overwrite)
    origin = _origin(task, dataset, arguments)
    if own is None:
        import_tensorflow()
    data = load_data(task, recipe, **places(origin))
    if getattr(data, "table", None) is not None:
        print(data.table.summary)
    if own is not None and arguments.recipe is None:
        recipe = task.fitted(data, recipe, given)
    if start is None:
        task.check(data, recipe)
    import_tensorflow()
    from zoo.runs.evaluation import adapted
    from zoo.runs.training import WRITTEN, Run
    from zoo.store.preset import load_preset

    preset = None if start is None else load_preset(start)
    if preset is not None:
        data = adapted(data, preset)
        task.check(data, recipe)
        for line in product_of(task).remarks(data, preset):
            print(line)
    with alone_in(out):
        prepare_output(out, overwrite=True, names=WRITTEN)
        jit = JIT[arguments.jit]
        _fit(Run(task, data, recipe, out, jit=jit, origin=origin, start=preset))


def _origin(task, dataset, arguments) -> dict:
    """Where the data are, for a command in another folder, and what it began with."""
    own = getattr(arguments, "data", None)
    reading = reading_options(task, arguments)
    for option in task.READING:
        value = reading.get(option.name)
        if option.names_files and value is not None and os.path.exists(value):
            reading[option.name] = os.path.abspath(value)
    return {
        "dataset": dataset,
        "data": None if own is None else os.path.abspath(own),
        "data_dir": arguments.data_dir and os.path.abspath(arguments.data_dir),
        "reading": reading,
        "from": arguments.start,
    }


def places(origin: dict) -> dict:
    """What `load_data` is told of the origin of a training."""
    return {name: origin[name] for name in ("dataset", "data", "data_dir", "reading")}


def _start(task, arguments) -> PresetFiles:
    """The preset that a training begins with."""
    if arguments.recipe is not None:
        raise UserError("`--from` has a recipe of its own: leave out `--recipe`.")
    files = locate_files(arguments.start)
    name = read_known_metadata(files.folder)["task"]
    if name != task.NAME:
        raise UserError(f"`--from` names a preset of {name}, not of {task.NAME}.")
    return files


def resume(arguments) -> None:
    """Goes on with a training that was interrupted, or with more epochs."""
    from zoo.runs.checkpoint_files import read_checkpoint

    out = Path(arguments.run)
    if not out.is_dir():
        raise UserError(f"There is no training in {out}: it is no folder.")
    with alone_in(out):
        state, remarks = read_checkpoint(out)
        for line in remarks:
            print(f"bptt-zoo: {line}", file=sys.stderr)
        try:
            origin = state["origin"]
            task = TASKS[origin["task"]]
            recipe = task.recipe_from(state["recipe"])
            where, jit, start = places(origin), origin["jit"], origin["from"]
            epoch = state["epoch"]
        except (KeyError, TypeError, ValueError) as error:
            raise UserError(f"The checkpoint in {out} is damaged: {error}") from None
        longer = _longer(out, recipe, epoch, arguments)
        recipe = dataclasses.replace(recipe, epochs=longer or recipe.epochs)
        if where["data"] is None:
            import_tensorflow()
        data = load_data(task, recipe, **where)
        import_tensorflow()
        from zoo.runs.evaluation import adapted
        from zoo.runs.training import PRESET, Run
        from zoo.store.preset import load_preset

        if start is not None:
            data = adapted(data, load_preset(out / PRESET))
        since = epoch if longer else 0
        origin = {**where, "from": start}
        run = Run(
            task,
            data,
            recipe,
            out,
            jit=jit,
            origin=origin,
            patient_since=since,
            checkpoint=state,
        )
        _fit(run, stop=arguments.stop)


def _longer(out: Path, recipe, epoch: int, arguments) -> int | None:
    """The epochs that a training is extended to, or None."""
    epochs = arguments.epochs
    if epochs is not None:
        if arguments.stop:
            raise UserError("`--stop` ends a training, `--epochs` extends it.")
        if epochs <= epoch:
            raise UserError(
                f"`--epochs` must be above {epoch}, which are done. Received: {epochs}"
            )
        return epochs
    try:
        ended = read_known_metadata(out).get("epochs") == epoch
    except UserError:  # killed before the first preset was written, or damaged
        ended = False
    if ended:
        raise UserError(
            f"The training in {out} has ended, after {epoch} of {recipe.epochs} "
            "epochs. With --epochs N it goes on, until N are done."
        )
    return None


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
    files = locate_files(arguments.preset)
    name = read_known_metadata(files.folder)["task"]
    able_to = {"text": _continue_text, "music": products.compose}
    kind = TASKS[name].MAKES
    if kind not in able_to:
        able = ", ".join(t.NAME for t in TASKS.values() if t.MAKES in able_to)
        raise UserError(
            f"This preset is one of {name}, which generates nothing. Presets of these "
            f"tasks do: {able}."
        )
    able_to[kind](files, arguments)


def _continue_text(files, arguments) -> None:
    """Prints a prompt and its continuation."""
    for option in ("out", "tempo", "frames_per_beat"):
        if getattr(arguments, option) is not None:
            option = option.replace("_", "-")
            raise UserError(f"`--{option}` is for music, and this preset makes text.")
    if arguments.prompt is None:
        raise UserError("`--prompt` must say how the text begins.")
    checked = check_preset(files)
    import_tensorflow()
    from zoo.products import sampling
    from zoo.store.preset import load_preset

    options = {
        "length": 500 if arguments.length is None else arguments.length,
        "temperature": arguments.temperature,
        "seed": arguments.seed,
    }
    sampling.check_options(**options)
    preset = load_preset(checked)
    prompt = preset.with_known_lines(arguments.prompt)
    print(prompt + sampling.generate(preset, prompt, **options))


def forecast(arguments) -> None:
    """Writes what comes after the end of a table."""
    products.forecast(locate_files(arguments.preset), arguments)


def predict(arguments) -> None:
    """Writes the classes of series."""
    products.predict(locate_files(arguments.preset), arguments)


def evaluate(arguments) -> None:
    """Prints the metric of a preset on a held-out part."""
    checked = check_preset(locate_files(arguments.preset))
    import_tensorflow()
    from zoo.runs.evaluation import adapted
    from zoo.runs.evaluation import evaluate as measured
    from zoo.store.preset import load_preset

    preset = load_preset(checked)
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
            f"Received: {dataset}.{did_you_mean(dataset, task.DATASETS)}"
        )
    if arguments.whole and not (own is not None and task.WHOLE):
        raise UserError(
            "`--whole` measures all of a text or of music that --data names. Leave it "
            "out."
        )
    reading = {} if arguments.encoding is None else {"encoding": arguments.encoding}
    if reading and (own is None or "encoding" not in {o.name for o in task.READING}):
        raise UserError("`--encoding` is that of a text that --data names.")
    recipe = task.recipe_from(preset.metadata["recipe"])
    if own is not None:
        reading = {**task.reading_of(preset.processing), **reading}
    data = load_data(
        task,
        recipe,
        dataset=dataset,
        data=own,
        data_dir=arguments.data_dir,
        reading=reading,
    )
    part = "whole" if arguments.whole else task.parts(data)[-1]
    value = measured(preset, data, part)
    stored = preset.metadata["metric"]
    same = adapted(data, preset).describe() == known
    if arguments.json:
        found = {"data": data.name, "part": part, "metric": task.METRIC.name}
        found |= {"unit": task.METRIC.unit, "value": value, "trained_on_these": same}
        print(json.dumps(found, indent=2))
        return
    shown = worded(value, task.METRIC.unit)
    where = "all of it" if part == "whole" else f"{part} part"
    print(f"{data.name}, {where}: {task.METRIC.name} {shown}")
    if same and arguments.whole:
        print("The preset was trained on a part of these data.")
        return
    if same:
        before = worded(stored["value"], task.METRIC.unit)
        print(f"stored in the preset, same data: {before}")
        return
    print(f"The preset was trained on other data: {known['name']}.")
    for line in product_of(task).remarks(data, preset, part):
        print(line)


def report(arguments) -> None:
    """Writes the HTML page of a training run and prints where it is."""
    if arguments.out is not None:
        output_file(arguments.out, (".html", ".htm"))
    import_tensorflow()
    from zoo.runs.run_report import write_run_report

    print(write_run_report(arguments.run, arguments.out))


def _recipe(task, dataset, arguments, start: PresetFiles | None = None):
    """The recipe that a training begins with, changed by options; and what stays.

    Returns:
        `(recipe, names)`: names of the fields that the data have no say in.
    """
    if start is None:
        recipe = starting_recipe(task, dataset, arguments.recipe)
    else:
        recipe = task.recipe_from(read_known_metadata(start.folder)["recipe"])
    names = {field.name for field in dataclasses.fields(recipe)}
    given = {k: v for k, v in vars(arguments).items() if k in names and v is not None}
    for name in ("clip", "window", "mean_window", "average_after", "patience"):
        # 0: none at all.
        if given.get(name) == 0:
            given[name] = None
    try:
        recipe = dataclasses.replace(recipe, **given)
    except ValueError as error:
        raise UserError(str(error)) from None
    # The model of a preset stays, and what it reads.
    fixed = given if start is None else names - {"batch_size", "window", "epochs"}
    return recipe, frozenset({*given, *fixed})


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
    content = read_bytes(path, at_most=METADATA, option="`--recipe`")
    try:
        stored = parse_json(content)
        name, recipe = stored["task"], stored["recipe"]
        if name != task.NAME:
            raise UserError(
                f"The recipe in {path} is one of {name}, not of {task.NAME}."
            )
        return task.recipe_from(recipe)
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{error} is missing" if isinstance(error, KeyError) else error
        raise UserError(
            f"`--recipe` must be a file that bptt-zoo tune has written. {path} is "
            f"none: {reason}."
        ) from None


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
    for line in filter(None, [verdict(preset.metadata), *run.remarks()]):
        print(line)
    product = product_of(run.task)
    product.conclude(run.out, run.data, preset)
    print(f"\nhistory and plots: {run.out}\npreset:            {run.preset_folder}")
    for words, command in product.next_steps(run.preset_folder):
        print(f"{words + ':':19}{command}")
    print(f"see how it went:   bptt-zoo report {run.out}")
