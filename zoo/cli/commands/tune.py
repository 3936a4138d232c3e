"""`bptt-zoo tune TASK`: searches for a better recipe."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Annotated, Any, Literal

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
from zoo.plain.changes import differences
from zoo.recipes.recipe import Training
from zoo.system.errors import UserError, ZooError
from zoo.system.files import write_json
from zoo.system.output import leaves_no_empty_folder
from zoo.system.quiet import import_tensorflow
from zoo.system.reading import read_bytes, read_json
from zoo.tasks.task import Task
from zoo.tuning.space import Space, space_of

# The file that defines a job; it can be compared without TensorFlow.
DEFINITION = "tune.json"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options(TaskOptions):
    """The options that all tasks share."""

    out: Annotated[str, Keyword("folder of the job, new or its own", "DIR")]
    extend: Annotated[
        bool, Keyword("continue the job in --out in a space that has changed")
    ] = False
    engine: Annotated[
        Literal["keras-tuner", "optuna"],
        Keyword("what proposes the trials (%(default)s)", group="search"),
    ] = "keras-tuner"
    tuner: Annotated[
        Literal["random", "bayesian", "hyperband", "grid"],
        Keyword(
            "how it proposes them (%(default)s); optuna: random, bayesian (TPE)",
            group="search",
        ),
    ] = "random"
    pruner: Annotated[
        Literal["none", "median", "asha"],
        Keyword(
            "optuna: ends trials early if they do worse than others (%(default)s)",
            group="search",
        ),
    ] = "none"
    storage: Annotated[
        str | None,
        Keyword("optuna: database of the study, sqlite:///FILE", "URL", group="search"),
    ] = None
    trials: Annotated[
        int | None,
        Keyword(
            "how many, at most (default: 24, the whole grid; hyperband plans them)",
            "N",
            group="search",
        ),
    ] = None
    budget: Annotated[
        float | None,
        Keyword(
            "time for the job, over all its runs (default: no limit)",
            "MINUTES",
            group="search",
        ),
    ] = None
    workers: Annotated[
        int,
        Keyword("processes that train side by side (%(default)s)", "W", group="search"),
    ] = 1
    seeds: Annotated[
        int,
        Keyword(
            "trainings of a trial, whose mean is its value (%(default)s)",
            "K",
            group="search",
        ),
    ] = 1
    recipe: Annotated[
        str | None,
        Keyword("begin with a recipe of an earlier job", "FILE", group="recipe"),
    ] = None
    vary: Annotated[
        str | None,
        Keyword(
            "of the fields that are varied by default, vary only these",
            "A,B",
            group="recipe",
        ),
    ] = None
    jit: Jit = "auto"


def fill_recipe(parser: Parser, task: Task) -> None:
    """Adds the fields of a task's recipe, as values or ranges."""
    recipe = task.recipe_for(None)
    varied = ", ".join(n for n in space_of(task, recipe, {}).ranges if "_" not in n[:5])
    group = parser.group("recipe")
    group.description = (
        "VALUE fixes a field; LOW:HIGH, LOW:HIGH:log and A,B,C vary it. Varied unless "
        f"you say otherwise: {varied}."
    )
    choices = choices_of(task)
    for name, words in recipe_words(task).items():
        add_option(
            group,
            flag_of(name),
            str,
            words,
            name=name,
            metavar="N" if name in ("seed", "epochs") else "VALUE|RANGE",
            # Only for completion: a list of them is valid, too.
            known=choices.get(name, ()),
        )


@leaves_no_empty_folder
def tune(options: Options) -> None:
    """Searches for a better recipe; continues the job in `--out` if there is one."""
    task, own = options.task, options.data
    space = _space(options)
    _check(options)
    facts = {
        "task": task.NAME,
        "data": options.data_set if own is None else _fingerprint(own),
        "recipe": dataclasses.asdict(space.recipe),
        **({"reading": options.reading} if options.reading else {}),
    }
    out = Path(options.out)
    settings: dict[str, Any] = {"engine": options.engine, "tuner": options.tuner}
    settings |= {"seeds": options.seeds}
    if options.engine == "optuna":
        settings |= {"pruner": options.pruner, "storage": options.storage}
    _refuse_changes(out, {**facts, **settings}, space, extend=options.extend)
    worker = "KERASTUNER_ORACLE_IP" in os.environ
    import_tensorflow()
    try:
        # Put off: it imports TensorFlow and KerasTuner.
        from zoo.tuning.tuner import RecipeModel, run
    except ModuleNotFoundError as error:
        raise ZooError(str(error)) from None

    where = f"--dataset {options.data_set}" if own is None else f"--data {own}"

    def load(recipe: Training) -> Any:
        return load_data(
            task,
            recipe,
            dataset=options.data_set,
            data=own,
            data_dir=options.data_dir,
            reading=options.reading,
        )

    model = RecipeModel(task, space, load, facts, jit=JIT[options.jit])
    levels: dict[str, float] = {}
    # Refuse unsuitable data before any trial.
    data = model.data(space.recipe)
    task.check(data, space.recipe)
    with contextlib.redirect_stdout(None) if worker else contextlib.nullcontext():
        model.space = space.fitting(lambda r: task.check(data, r), list(options.given))
    if not worker:
        # Trials are scored on the validation part.
        levels = task.levels(data, space.recipe, "validation")
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / DEFINITION, definition({**facts, **settings}, space))
    run(model, options, settings, where, levels)


def _space(options: Options) -> Space:
    """The search space around a recipe."""
    task = options.task
    recipe = starting_recipe(task, options.data_set, options.recipe)
    reading = options.require_reading()
    if reading.get("validation") == "none":
        raise UserError(
            "`--validation none` leaves nothing that trials could be judged by: give "
            "a fraction or a file."
        )
    vary = options.vary
    names = None
    if vary is not None:
        names = [name.strip().replace("-", "_") for name in vary.split(",")]
    if options.data is not None and options.recipe is None:
        # Read before TensorFlow is imported, to report errors immediately.
        data = task.from_file(options.data, recipe, **reading)
        recipe = task.fitted(data, recipe, frozenset(options.given))
    return space_of(task, recipe, options.given, names)


def definition(facts: dict[str, Any], space: Space) -> dict[str, Any]:
    """The definition of a job, as it would be read back from JSON."""
    ranges = {name: str(allowed) for name, allowed in space.ranges.items()}
    return json.loads(json.dumps({**facts, "space": ranges}))


def _refuse_changes(
    out: Path, facts: dict[str, Any], space: Space, *, extend: bool
) -> None:
    """Refuses options that differ from the job in a folder, without TensorFlow.

    Raises:
        UserError: Names each difference, with the old and the new value.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"`--out` must be a folder, but {out} is a file.")
    if not (out / DEFINITION).exists():
        if out.is_dir() and any(out.iterdir()):
            raise UserError(
                f"`--out` is not empty, and holds no job of this command: {out}"
            )
        return
    try:
        old = read_json(out / DEFINITION)
        fixed, ranges = {**old}, {**old["space"]}
        del fixed["space"]
    except (UserError, KeyError, TypeError):
        # Damaged: the job keeps the same in another file, with a copy.
        return
    new = definition(facts, space)
    changed = differences(fixed, {k: v for k, v in new.items() if k != "space"})
    if changed:
        raise UserError(
            f"The job in {out} was begun with something else: {'; '.join(changed)}. "
            "Its trials cannot be compared with new ones: take another --out, or go on "
            "as before."
        )
    changed = differences(ranges, new["space"])
    if changed and not extend:
        raise UserError(
            f"The job in {out} was begun with another space: {'; '.join(changed)}. "
            "Take another --out, or add --extend to go on with it on purpose."
        )


def _check(options: Options) -> None:
    """Refuses options that make no valid job."""
    for name, least in (("trials", 1), ("workers", 1), ("seeds", 1)):
        value = getattr(options, name)
        if value is not None and value < least:
            raise UserError(f"`--{name}` must be at least {least}. Received: {value}")
    if options.budget is not None and not options.budget > 0:
        raise UserError(f"`--budget` must be above 0. Received: {options.budget}")
    if options.engine != "optuna":
        for name in ("storage", "pruner"):
            if getattr(options, name) not in (None, "none"):
                raise UserError(f"`--{name}` needs --engine optuna.")
    elif options.tuner not in ("random", "bayesian"):
        raise UserError(
            f"`--tuner {options.tuner}` is one of keras-tuner. Optuna has random and "
            "bayesian, with --pruner asha or median."
        )
    if options.tuner == "hyperband" and options.trials is not None:
        raise UserError(
            "`--trials` does not go with --tuner hyperband, which plans as many as its "
            "rounds need. Limit it with --epochs or --budget."
        )


def _fingerprint(path: str) -> str:
    """Fingerprint of the user's own data: names and contents of the files."""
    root = Path(path)
    files = (
        sorted(p for p in root.rglob("*") if p.is_file()) if root.is_dir() else [root]
    )
    found = hashlib.sha256()
    for file in files:
        content = read_bytes(file)
        found.update(
            str(file.relative_to(root) if root.is_dir() else file.name).encode()
        )
        found.update(hashlib.sha256(content).digest())
    return f"{root.name} {found.hexdigest()[:12]}"


COMMAND = TaskCommand(
    "Searches for a better recipe: learning rate, clipping, window and whatever else "
    "is given a range. The same command again continues a job that has ended or was "
    "killed. Each task has its own options: bptt-zoo tune TASK --help.",
    "Searches for a recipe that validates better: {task}. Writes best.json, "
    "trials.csv, plots, report.html and TensorBoard's HParams below --out.",
    Options,
    fill_recipe,
    tune,
)
