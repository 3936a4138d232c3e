"""`bptt-zoo train TASK`: trains a model."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Annotated, Any

from zoo.cli.options import Keyword, add_option, flag_of
from zoo.cli.parser import Parser
from zoo.cli.shared import JIT, Jit
from zoo.cli.task_command import (
    TaskCommand,
    TaskOptions,
    choices_of,
    load_data,
    recipe_words,
    starting_recipe,
)
from zoo.cli.training import fit
from zoo.cli.workers import (
    Workers,
    is_first_worker,
    join_workers,
    own_folder,
)
from zoo.plain.annotations import annotations_of
from zoo.products.kinds import product_of
from zoo.recipes.recipe import Training
from zoo.store.check import read_known_metadata
from zoo.store.files import PresetFiles
from zoo.store.hub import locate_files
from zoo.system.errors import UserError
from zoo.system.output import leaves_no_empty_folder, prepare_output
from zoo.system.quiet import import_tensorflow
from zoo.tasks.task import Task

_METAVARS = {int: "N", float: "X", str: "NAME"}
# For these fields, 0 on the command line means None.
_ZERO_IS_NONE = ("clip", "window", "mean_window", "average_after", "patience")
# Fields of a preset's recipe that may change without changing its model.
_FREE = frozenset({"batch_size", "window", "epochs"})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(TaskOptions):
    """The options that all tasks share."""

    out: Annotated[str, Keyword("folder for everything written", "DIR")]
    overwrite: Annotated[bool, Keyword("allow an --out that is not empty")] = False
    recipe: Annotated[
        str | None,
        Keyword(
            "a recipe that `bptt-zoo tune` has written; options change it",
            "FILE",
            group="recipe",
        ),
    ] = None
    start: Annotated[
        str | None,
        Keyword(
            "begin with the weights, the recipe and the vocabulary or scaling of a "
            "preset; options that keep the model change the rest",
            "PRESET",
            flag="--from",
            group="recipe",
        ),
    ] = None
    jit: Jit = "auto"
    workers: Workers = None


def fill_recipe(parser: Parser, task: Task) -> None:
    """Adds the fields of a task's recipe."""
    group = parser.group("recipe")
    words, choices = recipe_words(task), choices_of(task)
    for name, annotation in annotations_of(type(task.recipe_for(None))).items():
        add_option(
            group,
            flag_of(name),
            annotation.kind,
            words[name],
            name=name,
            choices=choices.get(name),
            metavar=_METAVARS[annotation.kind],
        )


@leaves_no_empty_folder
def train(options: Options) -> None:
    """Trains a model, writes all files to `--out`, and prints result and sample."""
    join_workers(options.workers)
    task = options.task
    start = None if options.start is None else _start(options)
    recipe, stays = _recipe(options, start)
    first = is_first_worker()
    out = Path(options.out)
    if first:
        out = prepare_output(out, overwrite=options.overwrite)
    origin = origin_of(options)
    if options.data is None:
        import_tensorflow()
    data = load_data(task, recipe, **places(origin))
    if getattr(data, "table", None) is not None:
        print(data.table.summary)
    if options.data is not None and options.recipe is None:
        recipe = task.fitted(data, recipe, stays)
    if start is None:
        task.check(data, recipe)
    import_tensorflow()
    # Put off: they import TensorFlow.
    from zoo.runs.evaluation import adapted
    from zoo.runs.training import CHECKPOINT, WRITTEN, Run
    from zoo.store.preset import load_preset

    preset = None if start is None else load_preset(start)
    if preset is not None:
        data = adapted(data, preset)
        task.check(data, recipe)
        for line in product_of(task).remarks(data, preset):
            print(line)
    with own_folder(out) as own:
        if first:
            prepare_output(out, overwrite=True, names=WRITTEN)
        run = Run(
            task,
            data,
            recipe,
            own,
            jit=JIT[options.jit],
            origin=origin,
            start=preset,
            checkpoint=out / CHECKPOINT,
        )
        fit(run)


def origin_of(options: Options) -> dict[str, Any]:
    """Where the data and the initial weights come from, with absolute paths."""
    own, reading = options.data, dict(options.require_reading())
    for option in options.task.READING:
        value = reading.get(option.name)
        if option.names_files and value is not None and os.path.exists(value):
            reading[option.name] = os.path.abspath(value)
    return {
        "dataset": options.data_set,
        "data": None if own is None else os.path.abspath(own),
        "data_dir": options.data_dir and os.path.abspath(options.data_dir),
        "reading": reading,
        "from": options.start,
    }


def places(origin: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `load_data` from the origin of a training."""
    return {name: origin[name] for name in ("dataset", "data", "data_dir", "reading")}


def _start(options: Options) -> PresetFiles:
    """The preset that the training begins with."""
    if options.recipe is not None:
        raise UserError("`--from` has its own recipe: leave out `--recipe`.")
    assert options.start is not None
    files = locate_files(options.start)
    name = read_known_metadata(files.folder)["task"]
    if name != options.task.NAME:
        raise UserError(
            f"`--from` names a preset of {name}, not of {options.task.NAME}."
        )
    return files


def _recipe(
    options: Options, start: PresetFiles | None
) -> tuple[Training, frozenset[str]]:
    """The recipe of a training, changed by the options; and which fields are fixed.

    Returns:
        `(recipe, names)`: names of the fields that the data must not change.
    """
    task = options.task
    if start is None:
        recipe = starting_recipe(task, options.data_set, options.recipe)
    else:
        recipe = task.recipe_from(read_known_metadata(start.folder)["recipe"])
    given: dict[str, Any] = {
        name: None if value == 0 and name in _ZERO_IS_NONE else value
        for name, value in options.given.items()
    }
    try:
        recipe = dataclasses.replace(recipe, **given)
    except ValueError as error:
        raise UserError(str(error)) from None
    names = {field.name for field in dataclasses.fields(recipe)}
    # The model of a preset and the way it reads data must not change.
    stays = set(given) if start is None else names - _FREE
    return recipe, frozenset({*given, *stays})


COMMAND = TaskCommand(
    "Trains a model. Each task has its own options: bptt-zoo train TASK --help.",
    "{Task}. Writes history.csv, history.json, plots, looks.json and the folder "
    "preset/ below --out. Options that are left out come from the recipe of the data "
    "set.",
    Options,
    fill_recipe,
    train,
)
