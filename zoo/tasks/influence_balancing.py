"""Find a weight whose short-term influence is the opposite of its long-term one."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from zoo.recipes.recipe import Training
from zoo.system import limits
from zoo.tasks.generated import GeneratedData, GeneratedTask
from zoo.tasks.task import Metric

if TYPE_CHECKING:
    import keras

    import bptt_keras as bk

OPTIMUM, START = -1 / 6, 1 / 2
# By then s has settled, wherever it started: the chain halves what remains of it.
SETTLED = 200


@dataclasses.dataclass(frozen=True)
class InfluenceRecipe(Training):
    """`Training` with the options of random windows."""

    batch_size: int = 1
    window: Annotated[
        int | None,
        "Timesteps that gradients flow back through, at most if there is a "
        "`mean_window`.",
    ] = 150
    clip: float | None = None
    learning_rate: Annotated[
        float,
        "Of plain SGD, constant; half the paper's, as the squared error is not halved.",
    ] = 5e-4
    epochs: int = 8
    mean_window: Annotated[
        float | None,
        "Mean length of windows that are cut at random, their gradients reweighted "
        "so that they are right on average (ARTBP); None makes all the same.",
    ] = None
    steps: Annotated[int, "Timesteps of an epoch."] = 30_000

    def __post_init__(self) -> None:
        super().__post_init__()
        mean, longest = self.mean_window, self.window or 0
        drawn = mean is None or 1 < mean <= longest
        self.require("mean_window", drawn, f"above 1, and at most window={longest}")
        self.require("steps", self.steps >= 1, "at least 1")
        most = limits.GENERATED // self.batch_size - SETTLED
        rule = f"at most {most:,} in {self.batch_size:,} rows"
        self.require("steps", self.steps <= most, rule)


class InfluenceBalancing(GeneratedTask[InfluenceRecipe]):
    """Influence balancing.

    One weight theta drives a chain of 23 units, and the target of the first unit is 1
    (`zoo.layers.Influence`). Raising theta lifts that unit for some timesteps but
    lowers it in the long run. So gradients of short windows, up to 100, have the wrong
    sign and drive theta away from its optimum, -1/6, until the loss is NaN. Windows of
    120 find the optimum, and so do random windows with a mean length of 16, whose
    gradient is unbiased (`--mean-window 16 --window 256`).

    Source: Tallec & Ollivier (2017), section 5.
    """

    NAME = "influence-balancing"
    SUMMARY = "find a weight that short windows drive away (distance from optimum)"
    DATASETS = ("influence-23",)
    # Once s has settled, the unit's error is six times that of theta.
    METRIC = Metric(
        "|theta - optimum|", "", log="mean_absolute_error", factor=abs(OPTIMUM)
    )
    RECIPES = {"influence-23": InfluenceRecipe()}

    def check(
        self, data: GeneratedData[InfluenceRecipe], recipe: InfluenceRecipe
    ) -> None:
        return None

    def training(
        self,
        data: GeneratedData[InfluenceRecipe],
        recipe: InfluenceRecipe,
    ) -> Any:
        return self._batch(recipe.batch_size, recipe.steps)

    def held_out(
        self, data: GeneratedData[InfluenceRecipe], recipe: InfluenceRecipe, part: str
    ) -> Any:
        return self._batch(1, SETTLED)

    def _batch(self, rows: int, steps: int) -> Any:
        # Keras: put off.
        from zoo.fitting.batches import ShuffledArrays

        x = np.zeros((rows, SETTLED + steps, 1), np.float32)
        return ShuffledArrays(x, np.ones_like(x), rows, seed=None)

    def watched(
        self, data: GeneratedData[InfluenceRecipe], recipe: InfluenceRecipe
    ) -> Any:
        return self._batch(1, SETTLED)[0]

    def updates_per_epoch(
        self, data: GeneratedData[InfluenceRecipe], recipe: InfluenceRecipe
    ) -> int:
        window = recipe.mean_window or recipe.window or recipe.steps
        return -int(-recipe.steps // window)

    def levels(
        self, data: GeneratedData[InfluenceRecipe], recipe: InfluenceRecipe, part: str
    ) -> dict[str, float]:
        return {"theta as it starts": START - OPTIMUM}

    def build_model(
        self, data: GeneratedData[InfluenceRecipe], recipe: InfluenceRecipe
    ) -> keras.Sequential:
        # Keras: put off.
        import keras

        from zoo.layers import Influence

        return keras.Sequential([keras.layers.Input((None, 1)), Influence()])

    def build_loss(self) -> keras.losses.Loss:
        # Keras: put off.
        import keras

        return keras.losses.MeanSquaredError()

    def build_metrics(self) -> list[keras.metrics.Metric]:
        # Keras: put off.
        import keras

        return [keras.metrics.MeanAbsoluteError()]

    def build_optimizer(
        self, recipe: InfluenceRecipe, updates: int
    ) -> keras.optimizers.Optimizer:
        # Keras: put off.
        import keras

        from zoo.fitting.optimizers import keras_arguments

        return keras.optimizers.SGD(
            recipe.learning_rate,
            weight_decay=recipe.weight_decay or None,
            **keras_arguments(recipe),
        )

    def build_trainer(
        self, model: keras.Model, recipe: InfluenceRecipe
    ) -> bk.TruncatedBPTT:
        # Keras: put off.
        import bptt_keras as bk

        window: Any = recipe.window
        if recipe.mean_window is not None:
            window = bk.truncation.ARTBP(
                recipe.mean_window, longest=window, seed=recipe.seed
            )
        return bk.TruncatedBPTT(model, window, burn_in=SETTLED, shards=1)

    def build_callbacks(
        self, recipe: InfluenceRecipe, history: dict[str, list[float]]
    ) -> list[keras.callbacks.Callback]:
        # Keras: put off.
        from zoo.fitting.batches import DrawnWindows

        return [DrawnWindows(recipe.seed)] if recipe.mean_window is not None else []
