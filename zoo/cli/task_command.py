"""Commands with a subcommand for each task, with options from the task's recipe."""

from __future__ import annotations

import argparse
import dataclasses
import functools
from collections.abc import Callable
from typing import Any

from zoo.cli.options import (
    add_option,
    add_options,
    flag_of,
    read,
    refuse_empty,
)
from zoo.cli.parser import Parser
from zoo.plain.annotations import annotations_of
from zoo.recipes.recipe import Training
from zoo.system.errors import UserError
from zoo.system.limits import METADATA
from zoo.system.reading import parse_json, read_bytes
from zoo.tasks import TASKS
from zoo.tasks.task import Option, Task


@dataclasses.dataclass(frozen=True, kw_only=True)
class TaskOptions:
    """The options that all commands of this kind share.

    Args:
        task: The task.
        out: The output folder.
        data_dir: Folder with a local copy of the data set's files.
        dataset: Name of the data set, if it was given.
        data: The user's own data.
        reading: Options for reading these that were given: see `Task.READING`.
        given: `{field of the recipe: value}` of the fields that were given.
    """

    task: Task
    out: str
    data_dir: str | None = None
    dataset: str | None = None
    data: str | None = None
    reading: dict[str, Any]
    given: dict[str, Any]

    @property
    def data_set(self) -> str | None:
        """Name of the chosen data set; None: the user's own data."""
        if self.data is not None:
            return None
        return self.dataset or self.task.DATASETS[0]

    def require_reading(self) -> dict[str, Any]:
        """Options for reading the user's own data.

        Raises:
            UserError: If such options were given together with a data set.
        """
        if self.reading and self.data is None:
            option = next(iter(self.reading)).replace("_", "-")
            raise UserError(f"`--{option}` goes with --data.")
        return self.reading


@dataclasses.dataclass(frozen=True)
class TaskCommand:
    """A command of `bptt-zoo` that is followed by the name of a task.

    Args:
        description: Its help text.
        task_description: The help text of each task's subcommand; `{task}` is the
            task's summary, `{Task}` the same with a capital letter.
        options: Dataclass of the arguments that all tasks share, a `TaskOptions`.
        fill_recipe: Function of a parser and a task that adds the fields of its recipe.
        action: Function of the options that runs the command.
    """

    description: str
    task_description: str
    options: type[TaskOptions]
    fill_recipe: Callable[[Parser, Task], None]
    action: Callable[[Any], int | None]

    def fill(self, parser: Parser) -> None:
        """Adds a subparser for each task to the command's parser."""
        parser.description = self.description
        forms = parser.add_subparsers(dest="task", metavar="TASK", required=True)
        for task in TASKS.values():
            fill = functools.partial(self._fill_task, task=task)
            forms.add_parser(task.NAME, help=task.SUMMARY, fill=fill)

    def _fill_task(self, parser: Parser, *, task: Task) -> None:
        words = task.SUMMARY
        sentence = words[0].upper() + words[1:]
        parser.description = self.task_description.format(task=words, Task=sentence)
        parser.group("data")
        add_options(parser, self.options)
        _add_data(parser, task)
        self.fill_recipe(parser, task)

    def read(self, namespace: argparse.Namespace) -> TaskOptions:
        """The parsed options."""
        values, task = vars(namespace), TASKS[namespace.task]
        reading = [option.name for option in task.READING]
        fields = list(annotations_of(type(task.recipe_for(None))))
        data = ["dataset", "data", "data_dir"]
        for name in (*data, *reading, *fields):
            refuse_empty(name, values.get(name))

        def given(names: list[str]) -> dict[str, Any]:
            return {name: v for name in names if (v := values.get(name)) is not None}

        return read(
            self.options,
            namespace,
            task=task,
            reading=given(reading),
            given=given(fields),
            **given(data),
        )


# --- Options of a task ----------------------------------------------------------------


def _add_data(parser: Parser, task: Task) -> None:
    group = parser.group("data")
    either = group.add_mutually_exclusive_group()
    add_option(
        either,
        "--dataset",
        str,
        f"one of: %(choices)s (default: {task.DATASETS[0]})",
        name="dataset",
        choices=task.DATASETS,
    )
    if task.OWN_DATA is not None:
        words = f"your own: {task.OWN_DATA}"
        add_option(either, "--data", str, words, name="data", metavar="PATH")
        for option in task.READING:
            add_reading(group, option, f"your own: {option.help}")
    add_option(
        group,
        "--data-dir",
        str,
        "folder with a local copy of the data set's files (default: $BPTT_ZOO_DATA, "
        "else a download)",
        name="data_dir",
        metavar="DIR",
    )


def add_reading(group: Any, option: Option, words: str) -> None:
    """Adds an option for reading the user's own data."""
    add_option(
        group,
        flag_of(option.name),
        option.kind,
        words,
        name=option.name,
        metavar=None if option.choices else option.metavar,
        choices=option.choices,
    )


def recipe_words(task: Task) -> dict[str, str]:
    """`{field of the recipe: help text}`, with its defaults."""
    found = {}
    for name, annotation in annotations_of(type(task.recipe_for(None))).items():
        # The first sentence, or what comes before a semicolon.
        sentence = annotation.note.replace("; ", ". ").split(". ")[0].rstrip(".")
        words = sentence[0].lower() + sentence[1:]
        text = f"{words} (default: {_default(task, name)})"
        found[name] = text.replace("%", "%%")  # argparse formats help texts with %
    return found


def _default(task: Task, name: str) -> str:
    """The default of a field, and the data sets whose recipe has a different value."""
    usual = getattr(task.recipe_for(None), name)
    others = [
        f"{dataset} {getattr(task.recipe_for(dataset), name)}"
        for dataset in task.DATASETS
        if getattr(task.recipe_for(dataset), name) != usual
    ]
    return "; ".join([str(usual), *others])


def choices_of(task: Task) -> dict[str, tuple[str, ...]]:
    """`{field of the recipe: its choices}`, for fields that have choices."""
    fields = dataclasses.fields(task.recipe_for(None))
    known = {field.name: field.metadata.get("choices") for field in fields}
    return {name: choices for name, choices in known.items() if choices}


# --- From options to recipe and data --------------------------------------------------


def starting_recipe(task: Task, dataset: str | None, path: str | None) -> Training:
    """The default recipe for a data set, or the one that a tuning job has written.

    Raises:
        UserError: If the file has no recipe of the task.
    """
    if path is None:
        return task.recipe_for(dataset)
    # pydantic: put off. It takes 0.1 s, and `--help` does not need it.
    from zoo.recipes.reading import RecipeFile
    from zoo.system.validation import validate

    content = read_bytes(path, at_most=METADATA, option="`--recipe`")
    try:
        stored = validate(RecipeFile, parse_json(content))
        if stored.task != task.NAME:
            raise UserError(
                f"The recipe in {path} is one of {stored.task!r:.60}, not of "
                f"{task.NAME}."
            )
        return task.recipe_from(stored.recipe)
    except ValueError as error:
        raise UserError(
            f"`--recipe` must be a file that bptt-zoo tune has written. {path} is "
            f"none: {error}."
        ) from None


def load_data(
    task: Task,
    recipe: Training,
    *,
    dataset: str | None,
    data: str | None,
    data_dir: str | None,
    reading: dict[str, Any] | None = None,
) -> Any:
    """Loads a data set by name, or the user's own data as the options say."""
    if data is None:
        assert dataset is not None
        return task.load(dataset, data_dir, recipe)
    if data_dir is not None:
        raise UserError("`--data-dir` goes with --dataset, not with --data.")
    return task.from_file(data, recipe, **(reading or {}))
