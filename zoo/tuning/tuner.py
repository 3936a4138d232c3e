"""The tuners of `bptt_keras.tuning`, applied to the recipe of a task."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import keras_tuner

import bptt_keras as bk
from zoo.recipes.recipe import Training
from zoo.system.errors import UserError, ZooError
from zoo.tasks.task import Task
from zoo.tuning.outcome import Shown, finite
from zoo.tuning.space import Space
from zoo.tuning.trial import TrialRun, failed

TRIALS = 24
# Fields that do not affect the data: trials that differ only in these share the data.
_OF_MODELS = {
    "batch_size",
    "window",
    "epochs",
    "learning_rate",
    "clip",
    "clipping",
    "weight_decay",
    "layer",
    "units",
    "layers",
    "dropout",
    "seed",
    "patience",
}


class RecipeModel(keras_tuner.HyperModel):
    """The hypermodel of a job, which varies the fields of a recipe.

    Args:
        task: A `Task`.
        space: The `Space`.
        load: Function of a recipe that returns the task's data.
        facts: Other JSON values that define the job: a change is refused.
        jit: As in `Run`.
    """

    def __init__(
        self,
        task: Task[Any, Any],
        space: Space,
        load: Callable[[Training], Any],
        facts: dict,
        *,
        jit: str | bool = "auto",
    ):
        super().__init__()
        self.task, self.space, self.facts, self.jit = task, space, facts, jit
        self._load = functools.lru_cache(maxsize=1)(load)

    def build(self, hp: Any) -> None:
        """Declares the space; models are built by a `TrialRun`."""
        self.space.declare(hp)

    def definition(self) -> dict:
        """The definition of the job apart from its space."""
        return self.facts

    def validates(self, args: Any, kwargs: Any) -> bool:
        """Always True: each task has a validation part."""
        return True

    def data(self, recipe: Training) -> Any:
        """The data for a recipe, loaded again only if the recipe affects them."""
        fields = dataclasses.asdict(recipe)
        usual = dataclasses.asdict(self.space.recipe)
        return self._load(
            dataclasses.replace(
                recipe, **{k: usual[k] for k in fields if k in _OF_MODELS}
            )
        )


def run(
    model: RecipeModel, arguments: Any, settings: dict, where: str, references: dict
) -> None:
    """Runs a job in the `--out` folder, and prints the result.

    Args:
        model: The hypermodel.
        arguments: The options of `bptt-zoo tune`.
        settings: Those of them that define the job, for its page.
        where: The options that name the data, for the command that is shown.
        references: Baselines: levels of the metric without learning.

    Raises:
        UserError: If the folder holds a different job.
        ZooError: If all trials failed, or another process runs the job.
    """
    out = Path(arguments.out)
    options: dict[str, Any] = {"max_trials": arguments.trials}
    if arguments.tuner == "hyperband":
        options = {"max_epochs": model.space.recipe.epochs}
    elif arguments.trials is None and arguments.tuner != "grid":
        options["max_trials"] = TRIALS
    kind = _TUNERS[arguments.tuner]
    if arguments.engine == "optuna":
        kind = OptunaRecipes
        options |= {"sampler": _SAMPLERS[arguments.tuner]}
        options |= {"pruner": arguments.pruner, "storage": arguments.storage}
    try:
        tuner = kind(
            model,
            keras_tuner.Objective(
                model.task.METRIC.name, "max" if model.task.METRIC.higher else "min"
            ),
            directory=out.parent,
            project_name=out.name,
            extend=arguments.extend,
            executions_per_trial=arguments.seeds,
            seed=model.space.recipe.seed,
            budget=arguments.budget,
            workers=arguments.workers,
            defaults_first=arguments.tuner in ("random", "bayesian"),
            **options,
        )
        tuner.results.about = {
            "title": f"{model.task.NAME}: search for a recipe on {model.facts['data']}",
            "references": finite(references),
            "settings": {
                **settings,
                "train_command": f"bptt-zoo train {model.task.NAME} {where} "
                f"--recipe {out / bk.tuning.Results.FILE} --out runs/best",
            },
        }
        tuner.search()
    except (bk.tuning.ChangedError, bk.tuning.DamagedError) as error:
        raise UserError(str(error)) from None
    except (bk.tuning.TuningError, bk.tuning.ChiefGoneError, PermissionError) as error:
        raise _MultilineError(str(error)) from None


class _MultilineError(ZooError):
    """A failure whose message has several lines."""

    keeps_lines = True


if TYPE_CHECKING:

    class _Tuner(bk.tuning.RandomSearch):
        """Stands for the tuner that `_OfRecipes` is mixed into."""

else:
    _Tuner = object


class _OfRecipes(_Tuner):
    """Trains a trial's recipe in a `TrialRun`."""

    _RESULTS = Shown

    def describe_best(self, row: dict) -> dict:
        """The content of `best.json`, with the recipe for `bptt-zoo train --recipe`."""
        space = self.hypermodel.space
        recipe = dataclasses.asdict(space.recipe_of(row["values"]))
        task = self.hypermodel.task.NAME
        return {"task": task, "recipe": recipe, **super().describe_best(row)}

    def execute(self, trial: Any, execution: Any, **_: Any) -> dict[str, Any]:
        """Trains once; see `bptt_keras.tuning.DurableTuner.execute`."""
        model = self.hypermodel
        values = trial.hyperparameters.values
        own = {k: v for k, v in values.items() if not k.startswith("tuner/")}
        self._begin_from_earlier(trial, execution)
        try:
            recipe = model.space.recipe_of(own, seed=execution.seed)
            run = TrialRun(
                model.task,
                model.data(recipe),
                recipe,
                execution.folder,
                self.progress,
                reports=execution.reports,
                jit=model.jit,
            )
            value = run.train_until(values.get("tuner/epochs", recipe.epochs))
        except (ValueError, ZooError) as error:
            raise failed(error) from error
        return {execution.objective.name: value}


class RandomRecipes(_OfRecipes, bk.tuning.RandomSearch):
    """Draws recipes at random."""


class GridOfRecipes(_OfRecipes, bk.tuning.GridSearch):
    """Tries all recipes of a grid."""


class BayesianRecipes(_OfRecipes, bk.tuning.BayesianOptimization):
    """Tries recipes that a model of the objective proposes."""


class HyperbandRecipes(_OfRecipes, bk.tuning.Hyperband):
    """Trains many recipes for a few epochs, and the better ones for more."""


class OptunaRecipes(_OfRecipes, bk.tuning.OptunaSearch):
    """Tries recipes that Optuna proposes."""


_SAMPLERS = {"random": "random", "bayesian": "tpe"}
_TUNERS = {
    "random": RandomRecipes,
    "grid": GridOfRecipes,
    "bayesian": BayesianRecipes,
    "hyperband": HyperbandRecipes,
}
