"""The interface of every task: data, model, loss, metric, baselines, recipes."""

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
    """The metric that a task is judged by.

    Args:
        name: Name in reports, such as "accuracy".
        unit: Unit, such as "nats per character", or "" for a plain number. Some units
            are shown with a second scale: see `zoo.plain.scales.SECOND`.
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
        """Whether one value beats another; NaN beats nothing."""
        return value > than if self.higher else value < than


class Data(Protocol):
    """The interface of every task's data."""

    @property
    def name(self) -> str:
        """The name of the data in reports."""

    def describe(self) -> dict[str, Any]:
        """Facts for a model's metadata, as JSON values."""


DataT = TypeVar("DataT", bound=Data)


class Task(abc.ABC, Generic[DataT, RecipeT]):
    """One task, generic in the types of its data and its recipe.

    Each subclass has its own file and a row in `zoo.tasks`. What its models produce is
    in `zoo.products`.

    Attributes:
        NAME: Name on the command line.
        SUMMARY: Description in one line.
        DATASETS: Names of its data sets; the first is the default.
        METRIC: The `Metric`.
        RECIPES: `{data set name, or None for the user's own data: Training}`.
        REFERENCES: `{data set name: {who: published value of the metric}}`.
        OWN_DATA: What `--data` takes, in words; None if the task only has data of its
            own.
        READING: `Option`s that say how to read the user's own data.
        MAKES: What its models produce, a key of `zoo.products.kinds.PRODUCTS`; None
            for nothing.
        WHOLE: Whether `held_out` takes the part "whole": all of a data set that the
            model was not trained on.
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
        """The default recipe for a data set; None: for the user's own data."""
        if dataset in self.RECIPES:
            return self.RECIPES[dataset]
        return self.RECIPES[None if None in self.RECIPES else self.DATASETS[0]]

    def recipe_from(self, values: dict[str, Any]) -> RecipeT:
        """The recipe in a preset's metadata or in a checkpoint.

        Raises:
            ValueError: If it is not a recipe of this task.
        """
        # pydantic: put off. It takes 0.1 s, and `--help` does not need it.
        from zoo.recipes.reading import read_recipe

        try:
            kind: type[RecipeT] = type(self.recipe_for(None))
            return read_recipe(kind, values)
        except TypeError as error:
            raise ValueError(f"this is no recipe of {self.NAME}: {error}") from None

    def source_of(self, dataset: str) -> str:
        """The origin, in words, of a data set that is not in `zoo.datasets`."""
        return "generated"

    def references_for(self, dataset: str) -> dict[str, float]:
        """Published values of the metric, by who published them."""
        return dict(self.REFERENCES.get(dataset, {}))

    @abc.abstractmethod
    def load(
        self, dataset: str, data_dir: str | os.PathLike | None, recipe: RecipeT
    ) -> DataT:
        """Loads a data set by name.

        Returns:
            Data of the task's own type.

        Raises:
            ZooError: If they are not available.
        """

    def from_file(self, path: str, recipe: RecipeT, **reading: Any) -> DataT:
        """Reads the user's own data, without TensorFlow.

        Args:
            path: The value of `--data`.
            recipe: The recipe so far: `fitted` completes it.
            **reading: Values of the options in `READING` that were given.

        Raises:
            UserError: If the task takes no user data, or the file is unsuitable.
        """
        raise UserError(f"`--data` is not possible: {self.NAME} makes its own data.")

    def fitted(self, data: DataT, recipe: RecipeT, given: frozenset[str]) -> RecipeT:
        """Sets the fields of a recipe that depend on the size of the user's own data.

        Args:
            data: What `from_file` returned.
            recipe: The recipe so far.
            given: Names of the fields that the user has set; they are left unchanged.
        """
        return recipe

    @abc.abstractmethod
    def check(self, data: DataT, recipe: RecipeT) -> None:
        """Refuses data that do not suit a recipe.

        Raises:
            UserError: Says what to change.
        """

    def require_reach(self, recipe: RecipeT, steps: int, why: str) -> None:
        """Refuses a window that is shorter than a sequence.

        Raises:
            UserError: The message begins with `why` and says what to change.
        """
        if recipe.window is not None and recipe.window < steps:
            raise UserError(
                f"{why}, so the window must reach all {steps} timesteps. Leave "
                "--window out."
            )

    def require_window(self, recipe: RecipeT, kind: str) -> None:
        """Refuses a recipe without a window for data that are read as long streams.

        Raises:
            UserError: If the recipe has no window. In the message, `kind` says what the
                data are and why they need one.
        """
        if recipe.window is None:
            raise UserError(
                f"--window 0 (the whole sequence) is not possible for {kind}: give a "
                "number of timesteps."
            )

    @abc.abstractmethod
    def training(self, data: DataT, recipe: RecipeT) -> Any:
        """The first argument of `fit`: batches, in an order determined by the seed.

        Args:
            data: The task's data.
            recipe: The recipe.
        """

    @abc.abstractmethod
    def held_out(self, data: DataT, recipe: RecipeT, part: str) -> Any:
        """Batches of the part "validation" or "test", for `evaluate`."""

    @abc.abstractmethod
    def updates_per_epoch(self, data: DataT, recipe: RecipeT) -> int:
        """Weight updates per epoch, for the learning rate schedule."""

    def parts(self, data: DataT) -> tuple[str, ...]:
        """The held-out parts: "validation", and "test" if there is one."""
        return ("validation", "test")

    def watched(self, data: DataT, recipe: RecipeT) -> Any:
        """A few rows for a `TrainingWatch`, or None if there are none."""
        return None

    @abc.abstractmethod
    def levels(self, data: DataT, recipe: RecipeT, part: str) -> dict[str, float]:
        """Baselines: the metric of simple rules and of chance, without a network.

        Args:
            data: The task's data.
            recipe: The recipe.
            part: One of `parts(data)`. Rules learn from what lies before it: from the
                training part; for "test", validation may choose among them.
        """

    def selection(self, data: DataT, recipe: RecipeT) -> Metric | None:
        """The validation metric that selects the epoch whose weights are kept.

        The loss breaks ties, then the later epoch wins. None: the last epoch is kept.
        """
        return self.METRIC

    def fit_options(self, data: DataT, recipe: RecipeT) -> dict[str, Any]:
        """More arguments of `fit`, such as `class_weight`."""
        return {}

    def processing(self, data: DataT, recipe: RecipeT) -> dict[str, Any]:
        """Plain values that a trained model needs to read data: a dict for JSON.

        They include what the simple rules that the model builds on have learned.
        """
        return {}

    def tempered(
        self, model: keras.Model, data: DataT, recipe: RecipeT
    ) -> DataT | None:
        """Removes from the best model what the validation part does not confirm.

        Returns:
            The data as the changed model reads them, or None if nothing was changed.
        """
        return None

    def finished(
        self, model: keras.Model, data: DataT, recipe: RecipeT
    ) -> dict[str, Any]:
        """More plain values for `processing`, once the best model is known."""
        return {}

    def reading_of(self, processing: dict[str, Any]) -> dict[str, Any]:
        """Options that read other data the way a trained model's data were read.

        Args:
            processing: The values stored with the model.
        """
        return {}

    def adapted(self, data: DataT, stored: Stored[RecipeT]) -> DataT:
        """Data as a trained model reads them: with its vocabulary, its scaling.

        Args:
            data: The data.
            stored: The values stored with the model.

        Raises:
            UserError: If the model cannot read them.
        """
        return data

    @abc.abstractmethod
    def build_model(self, data: DataT, recipe: RecipeT) -> keras.Sequential:
        """Returns a built `keras.Sequential`."""

    @abc.abstractmethod
    def build_loss(self) -> keras.losses.Loss:
        """The loss of each timestep, or of the end of the sequence."""

    def build_metrics(self) -> list[keras.metrics.Metric]:
        """New Keras metrics to compile with."""
        return []

    def build_optimizer(
        self, recipe: RecipeT, updates: int
    ) -> keras.optimizers.Optimizer:
        """AdamW with warm-up and cosine decay, clipped by global norm.

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
        """The task's own Keras callbacks for a training that is about to begin.

        They run after the preset is saved and before the checkpoint is written.

        Args:
            recipe: The recipe.
            history: Logs of the epochs so far, by name; it grows during training.
        """
        return []

    def tuned(self, recipe: RecipeT) -> dict[str, Any]:
        """What `bptt-zoo tune` varies by default.

        Args:
            recipe: The recipe to vary.

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
    """Baselines of data, computed only once.

    A search trains on the same data again and again, and rules that read all of them
    take seconds.

    Args:
        data: The task's data. The results are cached on them.
        key: What the baselines depend on besides the data.
        levels: Function that computes them.
    """
    known = vars(data).setdefault("_known_levels", {})
    if key not in known:
        known[key] = levels()
    return dict(known[key])


def _around(window: int) -> set[int]:
    """Half a window and two windows."""
    return {max(1, window // 2), 2 * window}
