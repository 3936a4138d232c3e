"""What every task of the zoo has: data, model, loss, metric, levels, recipes."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable
from typing import Any

from zoo.recipes.clipping import KINDS, keras_arguments
from zoo.recipes.ranges import NONE, Choices, Range
from zoo.recipes.recipe import Training
from zoo.system.errors import UserError

# Of a data set; a preset is measured on one of them.
PARTS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Metric:
    """What a task is judged by.

    Args:
        name: As in reports, such as "accuracy".
        unit: Such as "nats per character", or "" for a plain number. Some units have
            a second scale that is shown beside them: see `zoo.runs.report.SECOND`.
        log: Name in the logs of `fit`, without `val_`.
        factor: Metric = factor times the logged value.
        higher: Whether higher is better.
    """

    name: str
    unit: str
    log: str = "loss"
    factor: float = 1.0
    higher: bool = False

    def better(self, value: float, than: float) -> bool:
        """Whether a value beats another; NaN beats nothing."""
        return value > than if self.higher else value < than


@dataclasses.dataclass(frozen=True)
class Option:
    """One way to say how a user's own data are read.

    Args:
        name: Of the argument of `Task.from_file`; on the command line with dashes.
        help: One line.
        metavar: Such as "FILE".
        kind: `str`, `int` or `float`.
        choices: What may be given; None: anything.
    """

    name: str
    help: str
    metavar: str = "NAME"
    kind: type = str
    choices: tuple[str, ...] | None = None

    @property
    def names_files(self) -> bool:
        """Whether a file or a folder may be given."""
        return self.choices is None and self.metavar.endswith(("FILE", "PATH"))


class Task(abc.ABC):
    """One task. A subclass is one file; `zoo.tasks` has a row for each.

    Attributes:
        NAME: As on the command line.
        SUMMARY: One line.
        DATASETS: Names of its data sets; the first is the default.
        METRIC: `Metric`.
        RECIPES: `{data set name, or None for the user's own data: Training}`.
        REFERENCES: `{data set name: {who: published value of the metric}}`.
        OWN_DATA: What `--data` takes, in words, or None if the task has its own data
            only.
        READING: `Option`s: how the user's own data are read.
        CONTINUES: What `bptt-zoo generate` makes with its models: "text", "music", or
            None for nothing.
        WHOLE: Whether `held_out` takes the part "whole": all of other data.
    """

    NAME: str
    SUMMARY: str
    DATASETS: tuple[str, ...]
    METRIC: Metric
    RECIPES: dict[str | None, Training]
    REFERENCES: dict[str, dict[str, float]] = {}
    OWN_DATA: str | None = None
    READING: tuple[Option, ...] = ()
    CONTINUES: str | None = None
    WHOLE: bool = False

    def recipe_for(self, dataset: str | None) -> Training:
        """The default recipe of a data set; None: of the user's own data."""
        if dataset in self.RECIPES:
            return self.RECIPES[dataset]
        return self.RECIPES[None if None in self.RECIPES else self.DATASETS[0]]

    def recipe_from(self, values: dict) -> Training:
        """The recipe that a preset's metadata or a checkpoint tells of.

        Raises:
            ValueError: If it is none of this task.
        """
        # Put off: pydantic takes 0.1 s, and `--help` does without.
        from zoo.recipes.reading import read_recipe

        try:
            return read_recipe(type(self.recipe_for(None)), values)
        except TypeError as error:
            raise ValueError(f"this is no recipe of {self.NAME}: {error}") from None

    def source_of(self, dataset: str) -> str:
        """Where a data set comes from that is none of `zoo.datasets`, in words."""
        return "generated"

    def references_for(self, dataset: str) -> dict[str, float]:
        """Published values of the metric, by who published them."""
        return dict(self.REFERENCES.get(dataset, {}))

    # --- Data ---------------------------------------------------------------------

    @abc.abstractmethod
    def load(self, dataset: str, data_dir: str | None, recipe: Training) -> Any:
        """The data of a name.

        Returns:
            Data of the task's own kind, with `name` and `describe()`, a dict for JSON.

        Raises:
            ZooError: If they cannot be had.
        """

    def from_file(self, path: str, recipe: Training, **reading: Any) -> Any:
        """The user's own data, read without TensorFlow.

        Args:
            path: What `--data` names.
            recipe: The recipe, as far as it is known: see `fitted`.
            **reading: Values of the options in `READING` that were given.

        Raises:
            UserError: If the task takes none, or the file does not fit.
        """
        raise UserError(f"`--data` is not possible: {self.NAME} makes its own data.")

    def fitted(self, data: Any, recipe: Training, given: frozenset[str]) -> Training:
        """The recipe of the user's own data, with what follows from their size.

        Args:
            data: What `from_file` returned.
            recipe: The recipe so far.
            given: Names of the fields that the user has set: they stay.
        """
        return recipe

    @abc.abstractmethod
    def check(self, data: Any, recipe: Training) -> None:
        """Refuses data that do not go with a recipe.

        Raises:
            UserError: Says what to change.
        """

    def require_reach(self, recipe: Training, steps: int, why: str) -> None:
        """Refuses a window that is shorter than a sequence.

        Raises:
            UserError: Begins with `why`, and says what to change.
        """
        if recipe.window is not None and recipe.window < steps:
            raise UserError(
                f"{why}, so the window must reach all {steps} timesteps. Leave "
                "--window out."
            )

    def require_window(self, recipe: Training, kind: str) -> None:
        """Refuses a recipe without a window for data that are read as long streams.

        Raises:
            UserError: If the recipe has no window. `kind` says what the data are, and
                why they need one.
        """
        if recipe.window is None:
            raise UserError(
                f"--window 0 (the whole sequence) is not possible for {kind}: give a "
                "number of timesteps."
            )

    @abc.abstractmethod
    def training(self, data: Any, recipe: Training, epoch: int = 0) -> Any:
        """The first argument of `fit`: batches, in an order that the seed fixes.

        Args:
            data: The task's data.
            recipe: The recipe.
            epoch: Epoch that comes first, counted from 0.
        """

    @abc.abstractmethod
    def held_out(self, data: Any, recipe: Training, part: str) -> Any:
        """Batches of the part "validation" or "test", for `evaluate`."""

    @abc.abstractmethod
    def updates_per_epoch(self, data: Any, recipe: Training) -> int:
        """Weight updates of an epoch, for the schedule of the learning rate."""

    def parts(self, data: Any) -> tuple[str, ...]:
        """The parts that are held out: "validation", and "test" if there is one."""
        return ("validation", "test")

    def watched(self, data: Any, recipe: Training) -> Any:
        """A few rows for a `TrainingWatch`, or None if they cannot be had."""
        return None

    @abc.abstractmethod
    def levels(self, data: Any, recipe: Training, part: str) -> dict[str, float]:
        """What the metric is by simple rules and by chance, without a network.

        Args:
            data: The task's data.
            recipe: The recipe.
            part: One of `parts(data)`. Rules learn from what lies before it: from the
                training part, and for "test" they may be chosen by validation.
        """

    def selection(self, data: Any, recipe: Training) -> Metric | None:
        """What chooses the epoch whose weights are kept, of the validation part.

        On a tie the later epoch wins, by the loss first. None: the last epoch is kept.
        """
        return self.METRIC

    def fit_options(self, data: Any, recipe: Training) -> dict[str, Any]:
        """More arguments of `fit`, such as `class_weight`."""
        return {}

    def processing(self, data: Any) -> dict:
        """Plain values that a trained model needs to read data: a dict for JSON."""
        return {}

    def processing_for(self, data: Any, recipe: Training) -> dict:
        """`processing`, and what simple rules have learned that a model builds on."""
        return self.processing(data)

    def tempered(self, model: Any, data: Any, recipe: Training) -> Any:
        """Takes out of the best model's weights what validation does not bear out.

        Returns:
            The data as the changed model reads them, or None if nothing was changed.
        """
        return None

    def finished(self, model: Any, data: Any, recipe: Training) -> dict:
        """More plain values for `processing` once the best model is there."""
        return {}

    def reading_of(self, preset: Any) -> dict[str, Any]:
        """Options by which other data are read as those of a preset were."""
        return {}

    def adapted(self, data: Any, preset: Any) -> Any:
        """Data as a preset's model reads them: by its vocabulary, its scaling.

        Raises:
            UserError: If the model cannot read them.
        """
        return data

    # --- Model --------------------------------------------------------------------

    @abc.abstractmethod
    def build_model(self, data: Any, recipe: Training) -> Any:
        """A built `keras.Sequential`."""

    @abc.abstractmethod
    def build_loss(self) -> Any:
        """The loss of one timestep, or of the sequence's end."""

    def build_metrics(self) -> list:
        """Keras metrics to compile with, fresh ones."""
        return []

    def build_optimizer(self, recipe: Training, updates: int) -> Any:
        """AdamW with a warm-up and a cosine, clipped by global norm.

        Args:
            recipe: The recipe.
            updates: Weight updates of the whole training.
        """
        import keras

        warmup = max(1, updates // 50)
        schedule = keras.optimizers.schedules.CosineDecay(
            recipe.learning_rate / 10,
            decay_steps=max(1, updates - warmup),
            alpha=0.01,
            warmup_target=recipe.learning_rate,
            warmup_steps=warmup,
        )
        optimizer = keras.optimizers.AdamW(
            schedule, weight_decay=recipe.weight_decay, **keras_arguments(recipe)
        )
        optimizer.exclude_from_weight_decay(var_names=["bias"])
        return optimizer

    def build_trainer(self, model: Any, recipe: Training) -> Any:
        """The `TruncatedBPTT` that trains the model, not compiled."""
        import bptt_keras as bk

        return bk.TruncatedBPTT(model, window=recipe.window)

    def build_callbacks(self, run: Any) -> list:
        """Keras callbacks of the task's own for a `Run` that is about to train.

        They come after the preset is saved and before the checkpoint is written.
        """
        return []

    def derived(self, logs: dict) -> dict[str, float]:
        """More numbers for the logs, made of those that are there."""
        from zoo.runs.report import derived

        return derived(logs, self.METRIC)

    def tuned(self, recipe: Training) -> dict[str, Any]:
        """What `bptt-zoo tune` varies unless told otherwise.

        Args:
            recipe: The recipe that is varied.

        Returns:
            `{field: Range or Choices}`; see `zoo.tuning.space.Space`.
        """
        rate = recipe.learning_rate
        ranges: dict[str, Any] = {"learning_rate": Range(rate / 5, rate * 5, True)}
        ranges["clipping"] = Choices((NONE, *KINDS))
        if recipe.window is not None:
            window = recipe.window
            ranges["window"] = Choices(tuple(sorted({*_around(window), window})))
        return ranges

    # --- What a user sees ---------------------------------------------------------

    def remarks(self, data: Any, preset: Any, part: str = "validation") -> list[str]:
        """What to know of a metric on data that a preset was not trained on."""
        return []

    def conclude(self, run: Any, preset: Any) -> None:
        """Shows, after a training, what the model makes: prints, writes files."""
        return None

    def next_steps(self, folder: Any) -> list[tuple[str, str]]:
        """What can be done with a preset: pairs of words and a command."""
        return [("measure it", f"bptt-zoo evaluate {folder}")]


def once(data: Any, key: Any, levels: Callable[[], dict]) -> dict[str, float]:
    """Levels of data, computed the first time that they are asked for.

    A search trains on the same data again and again, and rules that look at all of them
    take seconds.

    Args:
        data: The task's data. What is known is kept with them.
        key: What the levels depend on beside the data.
        levels: Function that computes them.
    """
    known = vars(data).setdefault("_known_levels", {})
    if key not in known:
        known[key] = levels()
    return dict(known[key])


def _around(window: int) -> set[int]:
    """Half a window and two."""
    return {max(1, window // 2), 2 * window}
