"""KerasTuner's search algorithms as oracles of durable jobs."""

from __future__ import annotations

from typing import Any

import keras_tuner

from bptt_keras.tuning.jobs.oracle import RUNNING, STOPPED, DurableOracle
from bptt_keras.tuning.keras_tuner_internals import (
    draw_from_seed,
    next_combination,
    was_tried,
)


class RandomSearchOracle(DurableOracle, keras_tuner.oracles.RandomSearchOracle):
    """KerasTuner's random search: the values of the n-th trial depend on the seed."""


class BayesianOptimizationOracle(
    DurableOracle, keras_tuner.oracles.BayesianOptimizationOracle
):
    """KerasTuner's Bayesian optimization."""

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """Values that the model of the objective proposes."""
        # Seeded with the number alone: KerasTuner does not store generator states.
        seed = (self.seed + len(self.trials)) % 2**32
        draw_from_seed(self, seed)
        return super().populate_space(trial_id)


class HyperbandOracle(DurableOracle, keras_tuner.oracles.HyperbandOracle):
    """KerasTuner's Hyperband."""


class GridSearchOracle(DurableOracle, keras_tuner.oracles.GridSearchOracle):
    """KerasTuner's grid search in its order, whose position in the grid is stored.

    The next point does not wait for a trial to end, so all workers stay busy.
    """

    def __init__(self, **options: Any):
        super().__init__(**options)
        self._last: dict[str, Any] | None = None

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The next point of the grid that has not been tried."""
        try:
            values = self._next_point()
        except Exception as error:
            self.error = error
            return {"status": STOPPED}
        if values is None:
            return {"status": STOPPED}
        self._last = dict(values)
        return {"status": RUNNING, "values": values}

    def _next_point(self) -> dict[str, Any] | None:
        values: dict[str, Any] | None
        if self._last is None:
            values = self.default_values()
        else:
            # Including what trials have added to the space since.
            values = next_combination(self, self.default_values(self._last))
        while values is not None and was_tried(self, values):
            values = next_combination(self, values)
        return values

    def get_state(self) -> dict[str, Any]:
        """The whole state of the job, for JSON."""
        return {**super().get_state(), "last": self._last}

    def set_state(self, state: dict[str, Any]) -> None:
        """Restores a state that `get_state` returned."""
        super().set_state(state)
        self._last = state["last"]
        if state["definition"]["space"] != self._definition["space"]:
            # The grid has changed: start at its first point, and skip tried ones.
            self._last = None
