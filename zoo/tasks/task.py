"""What every task of the zoo has: data, model, loss, metric, levels, recipes."""

from __future__ import annotations

import abc
import dataclasses
import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from zoo.plain.options import Option
from zoo.recipes.clipping import KINDS
from zoo.recipes.ranges import NONE, Choices, Range
from zoo.recipes.stored import RecipeT, Stored
from zoo.system.errors import UserError

if TYPE_CHECKING:
    import keras

    import bptt_keras as bk


@dataclasses.dataclass(frozen=True)
class Metric:
    """What a task is judged by.

    Args:
        name: As in reports, such as "accuracy".
        unit: Such as "nats per character", or "" for a plain number. Some units have
            a second scale that is shown beside them: see `zoo.plain.scales.SECOND`.
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


class Data(Protocol):
    """What all data of tasks have."""

    @property
    def name(self) -> str:
        """What reports call them."""

    def describe(self) -> dict[str, Any]:
        """Facts for the metadata of a model, for JSON."""


DataT = TypeVar("DataT", bound=Data)


class Task(abc.ABC, Generic[DataT, RecipeT]):
    """One task: of data and a recipe of its own kinds.

    A subclass is one file; `zoo.tasks` has a row for each. What its models make, and
    what is said of them, is in `zoo.products`.

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
        MAKES: What its models make, a key of `zoo.products.kinds.PRODUCTS`; None for
            nothing.
        WHOLE: Whether `held_out` takes the part "whole": all of other data.
    """

    NAME: str
    SUMMARY: str
    DATASETS: tuple[str, ...]
    METRIC: Metric
    RECIPES: dict[str | None, RecipeT]
    REFERENCES: dict[str, dict[str, float]] = {}
    OWN_DATA: str | None = None
    READING: tuple[Option, ...] = ()
    MAKES: str | None = None
    WHOLE: bool = False

    def recipe_for(self, dataset: str | None) -> RecipeT:
        """The default recipe of a data set; None: of the user's own data."""
        if dataset in self.RECIPES:
            return self.RECIPES[dataset]
        return self.RECIPES[None if None in self.RECIPES else self.DATASETS[0]]

    def recipe_from(self, values: dict[str, Any]) -> RecipeT:
        """The recipe that a preset's metadata or a checkpoint tells of.

        Raises:
            ValueError: If it is none of this task.
        """
        # Put off: pydantic takes 0.1 s, and `--help` does without.
        from zoo.recipes.reading import read_recipe

        try:
            kind: type[RecipeT] = type(self.recipe_for(None))
            return read_recipe(kind, values)
        except TypeError as error:
            raise ValueError(f"this is no recipe of {self.NAME}: {error}") from None

    def source_of(self, dataset: str) -> str:
        """Where a data set comes from that is none of `zoo.datasets`, in words."""
        return "generated"

    def references_for(self, dataset: str) -> dict[str, float]:
        """Published values of the metric, by who published them."""
        return dict(self.REFERENCES.get(dataset, {}))

    @abc.abstractmethod
    def load(
        self, dataset: str, data_dir: str | os.PathLike | None, recipe: RecipeT
    ) -> DataT:
        """The data of a name.

        Returns:
            Data of the task's own kind.

        Raises:
            ZooError: If they cannot be had.
        """

    def from_file(self, path: str, recipe: RecipeT, **reading: Any) -> DataT:
        """The user's own data, read without TensorFlow.

        Args:
            path: What `--data` names.
            recipe: The recipe, as far as it is known: see `fitted`.
            **reading: Values of the options in `READING` that were given.

        Raises:
            UserError: If the task takes none, or the file does not fit.
        """
        raise UserError(f"`--data` is not possible: {self.NAME} makes its own data.")

    def fitted(self, data: DataT, recipe: RecipeT, given: frozenset[str]) -> RecipeT:
        """The recipe of the user's own data, with what follows from their size.

        Args:
            data: What `from_file` returned.
            recipe: The recipe so far.
            given: Names of the fields that the user has set: they stay.
        """
        return recipe

    @abc.abstractmethod
    def check(self, data: DataT, recipe: RecipeT) -> None:
        """Refuses data that do not go with a recipe.

        Raises:
            UserError: Says what to change.
        """

    def require_reach(self, recipe: RecipeT, steps: int, why: str) -> None:
        """Refuses a window that is shorter than a sequence.

        Raises:
            UserError: Begins with `why`, and says what to change.
        """
        if recipe.window is not None and recipe.window < steps:
            raise UserError(
                f"{why}, so the window must reach all {steps} timesteps. Leave "
                "--window out."
            )

    def require_window(self, recipe: RecipeT, kind: str) -> None:
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
    def training(self, data: DataT, recipe: RecipeT, epoch: int = 0) -> Any:
        """The first argument of `fit`: batches, in an order that the seed fixes.

        Args:
            data: The task's data.
            recipe: The recipe.
            epoch: Epoch that comes first, counted from 0.
        """

    @abc.abstractmethod
    def held_out(self, data: DataT, recipe: RecipeT, part: str) -> Any:
        """Batches of the part "validation" or "test", for `evaluate`."""

    @abc.abstractmethod
    def updates_per_epoch(self, data: DataT, recipe: RecipeT) -> int:
        """Weight updates of an epoch, for the schedule of the learning rate."""

    def parts(self, data: DataT) -> tuple[str, ...]:
        """The parts that are held out: "validation", and "test" if there is one."""
        return ("validation", "test")

    def watched(self, data: DataT, recipe: RecipeT) -> Any:
        """A few rows for a `TrainingWatch`, or None if they cannot be had."""
        return None

    @abc.abstractmethod
    def levels(self, data: DataT, recipe: RecipeT, part: str) -> dict[str, float]:
        """What the metric is by simple rules and by chance, without a network.

        Args:
            data: The task's data.
            recipe: The recipe.
            part: One of `parts(data)`. Rules learn from what lies before it: from the
                training part, and for "test" they may be chosen by validation.
        """

    def selection(self, data: DataT, recipe: RecipeT) -> Metric | None:
        """What chooses the epoch whose weights are kept, of the validation part.

        On a tie the later epoch wins, by the loss first. None: the last epoch is kept.
        """
        return self.METRIC

    def fit_options(self, data: DataT, recipe: RecipeT) -> dict[str, Any]:
        """More arguments of `fit`, such as `class_weight`."""
        return {}

    def processing(self, data: DataT, recipe: RecipeT) -> dict[str, Any]:
        """Plain values that a trained model needs to read data: a dict for JSON.

        Among them is what simple rules have learned that the model builds on.
        """
        return {}

    def tempered(
        self, model: keras.Model, data: DataT, recipe: RecipeT
    ) -> DataT | None:
        """Takes out of the best model's weights what validation does not bear out.

        Returns:
            The data as the changed model reads them, or None if nothing was changed.
        """
        return None

    def finished(
        self, model: keras.Model, data: DataT, recipe: RecipeT
    ) -> dict[str, Any]:
        """More plain values for `processing` once the best model is there."""
        return {}

    def reading_of(self, processing: dict[str, Any]) -> dict[str, Any]:
        """Options by which other data are read as those of a trained model were.

        Args:
            processing: What is stored beside the model.
        """
        return {}

    def adapted(self, data: DataT, stored: Stored[RecipeT]) -> DataT:
        """Data as a trained model reads them: by its vocabulary, its scaling.

        Args:
            data: The data.
            stored: What is stored beside the model.

        Raises:
            UserError: If the model cannot read them.
        """
        return data

    @abc.abstractmethod
    def build_model(self, data: DataT, recipe: RecipeT) -> keras.Sequential:
        """A built `keras.Sequential`."""

    @abc.abstractmethod
    def build_loss(self) -> keras.losses.Loss:
        """The loss of one timestep, or of the sequence's end."""

    def build_metrics(self) -> list[keras.metrics.Metric]:
        """Keras metrics to compile with, fresh ones."""
        return []

    def build_optimizer(
        self, recipe: RecipeT, updates: int
    ) -> keras.optimizers.Optimizer:
        """AdamW with a warm-up and a cosine, clipped by global norm.

        Args:
            recipe: The recipe.
            updates: Weight updates of the whole training.
        """
        # Keras: put off.
        from zoo.fitting.optimizers import adamw

        return adamw(recipe, updates)

    def build_trainer(self, model: keras.Model, recipe: RecipeT) -> bk.TruncatedBPTT:
        """The `TruncatedBPTT` that trains the model, not compiled."""
        # Keras: put off.
        import bptt_keras as bk

        return bk.TruncatedBPTT(model, window=recipe.window)

    def build_callbacks(
        self, recipe: RecipeT, history: dict[str, list[float]]
    ) -> list[keras.callbacks.Callback]:
        """Keras callbacks of the task's own for a training that is about to begin.

        They come after the preset is saved and before the checkpoint is written.

        Args:
            recipe: The recipe.
            history: Logs of the epochs so far, by name, which grows as it trains.
        """
        return []

    def tuned(self, recipe: RecipeT) -> dict[str, Any]:
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


def once(
    data: object, key: Any, levels: Callable[[], dict[str, float]]
) -> dict[str, float]:
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
