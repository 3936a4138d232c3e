"""The command `bptt-zoo tune`."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from pathlib import Path

from zoo.cli.commands import JIT, load_data, reading_options, starting_recipe
from zoo.plain.changes import differences
from zoo.system.errors import UserError, ZooError
from zoo.system.files import write_json
from zoo.system.output import leaves_no_empty_folder
from zoo.system.quiet import import_tensorflow
from zoo.tasks import TASKS
from zoo.tuning.space import space_of

# What a job is, in words that need no TensorFlow to be compared.
DEFINITION = "tune.json"


@leaves_no_empty_folder
def tune(arguments) -> None:
    """Searches for a better recipe below `--out`, from where the job there stands."""
    task = TASKS[arguments.task]
    own = getattr(arguments, "data", None)
    dataset = None if own is not None else arguments.dataset or task.DATASETS[0]
    recipe = starting_recipe(task, dataset, arguments.recipe)
    reading = reading_options(task, arguments)
    if reading.get("validation") == "none":
        raise UserError(
            "`--validation none` leaves nothing that trials could be judged by: give "
            "a fraction or a file."
        )
    names = [field.name for field in dataclasses.fields(recipe)]
    given = {n: getattr(arguments, n) for n in names if getattr(arguments, n)}
    vary = arguments.vary
    if vary is not None:
        vary = [name.strip().replace("-", "_") for name in vary.split(",")]
    if own is not None and arguments.recipe is None:
        # Before TensorFlow: what is wrong with them is told at once.
        recipe = task.fitted(
            task.from_file(own, recipe, **reading), recipe, frozenset(given)
        )
    space = space_of(task, recipe, given, vary)
    _check(arguments, space)
    facts = {
        "task": task.NAME,
        "data": _fingerprint(own) if own is not None else dataset,
        "recipe": dataclasses.asdict(space.recipe),
        **({"reading": reading} if reading else {}),
    }
    out = Path(arguments.out)
    settings = {"engine": arguments.engine, "tuner": arguments.tuner}
    settings |= {"seeds": arguments.seeds}
    if arguments.engine == "optuna":
        settings |= {"pruner": arguments.pruner, "storage": arguments.storage}
    _refuse_changes(out, {**facts, **settings}, space, extend=arguments.extend)
    worker = "KERASTUNER_ORACLE_IP" in os.environ
    import_tensorflow()
    try:
        from zoo.tuning.tuner import RecipeModel, run
    except ModuleNotFoundError as error:
        raise ZooError(str(error)) from None

    where = f"--data {own}" if own is not None else f"--dataset {dataset}"
    places = {"dataset": dataset, "data": own, "data_dir": arguments.data_dir}
    places["reading"] = reading

    def load(recipe):
        return load_data(task, recipe, **places)

    model = RecipeModel(task, space, load, facts, jit=JIT[arguments.jit])
    levels: dict = {}
    # What is wrong with them is said before any trial.
    data = model.data(space.recipe)
    task.check(data, space.recipe)
    with contextlib.redirect_stdout(None) if worker else contextlib.nullcontext():
        model.space = space.fitting(lambda r: task.check(data, r), list(given))
    if not worker:
        # Trials are judged by the validation part.
        levels = task.levels(data, space.recipe, "validation")
        out.mkdir(parents=True, exist_ok=True)
        write_json(out / DEFINITION, _definition({**facts, **settings}, space))
    run(model, arguments, settings, where, levels)


def _definition(facts, space):
    ranges = {name: str(allowed) for name, allowed in space.ranges.items()}
    # As it comes back from JSON.
    return json.loads(json.dumps({**facts, "space": ranges}))


def _refuse_changes(out: Path, facts: dict, space, *, extend: bool) -> None:
    """Refuses, before TensorFlow is imported, what the job in a folder is not.

    Raises:
        UserError: Names what differs, with the old and the new value.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"`--out` must be a folder, but {out} is a file.")
    try:
        old = json.loads((out / DEFINITION).read_text(encoding="utf-8"))
        fixed, ranges = {**old}, old["space"]
        del fixed["space"]
    except FileNotFoundError:
        if out.is_dir() and any(out.iterdir()):
            raise UserError(
                f"`--out` is not empty, and holds no job of this command: {out}"
            ) from None
        return
    except (OSError, KeyError, TypeError, ValueError):
        # Damaged: the job itself has the same in a file with a copy.
        return
    new = _definition(facts, space)
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


def _check(arguments, space) -> None:
    """Refuses what no job can be."""
    for name, least in (("trials", 1), ("workers", 1), ("seeds", 1)):
        value = getattr(arguments, name)
        if value is not None and value < least:
            raise UserError(f"`--{name}` must be at least {least}. Received: {value}")
    if arguments.budget is not None and not arguments.budget > 0:
        raise UserError(f"`--budget` must be above 0. Received: {arguments.budget}")
    if arguments.engine != "optuna":
        for name in ("storage", "pruner"):
            if getattr(arguments, name) not in (None, "none"):
                raise UserError(f"`--{name}` needs --engine optuna.")
    elif arguments.tuner not in ("random", "bayesian"):
        raise UserError(
            f"`--tuner {arguments.tuner}` is one of keras-tuner. Optuna has random and "
            "bayesian, with --pruner asha or median."
        )
    if arguments.tuner == "hyperband" and arguments.trials is not None:
        raise UserError(
            "`--trials` does not go with --tuner hyperband, which plans as many as its "
            "rounds need. Limit it with --epochs or --budget."
        )


def _fingerprint(path: str) -> str:
    """Of the user's own data: names and contents of the files."""
    root = Path(path)
    files = (
        sorted(p for p in root.rglob("*") if p.is_file()) if root.is_dir() else [root]
    )
    found = hashlib.sha256()
    for file in files:
        try:
            content = file.read_bytes()
        except OSError as error:
            raise UserError(
                f"`--data` cannot be read: {file} ({error.strerror})"
            ) from None
        found.update(
            str(file.relative_to(root) if root.is_dir() else file.name).encode()
        )
        found.update(hashlib.sha256(content).digest())
    return f"{root.name} {found.hexdigest()[:12]}"
