"""Ends a `fit` that skips every update."""

from __future__ import annotations

import warnings
from typing import Any

import keras

from bptt_keras.training.clipping.optimizer import find_clipped


class StopOnSkipped(keras.callbacks.Callback):
    """Ends a `fit` after too many updates in a row without a finite gradient.

    The limit is `stop_after` of the model's `ClippedOptimizer`, which is checked after
    each batch. `TruncatedBPTT.fit` adds this callback itself.

    Raises:
        ValueError: If the model's optimizer is not a `ClippedOptimizer` with
            `skip_nonfinite` and `stop_after` (when training begins).

    Example:
        import warnings
        import keras, numpy as np, bptt_keras as bk

        model = keras.Sequential([keras.layers.Dense(1)])
        inner = keras.optimizers.SGD(1e-2)
        model.compile(bk.clipping.ClippedOptimizer(inner, stop_after=3), loss="mse")
        x = np.full((64, 2), np.nan, "float32")
        with warnings.catch_warnings(record=True):
            model.fit(x, x, 8, verbose=0, callbacks=[bk.callbacks.StopOnSkipped()])
        assert int(model.optimizer.skipped) == 3
    """

    def on_train_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Finds the optimizer."""
        self._optimizer = self._found()
        if self._optimizer is None or self._optimizer.stop_after is None:
            raise ValueError(
                "`StopOnSkipped` needs a model that was compiled with a "
                "`ClippedOptimizer` that has `skip_nonfinite=True` and a `stop_after`. "
                f"Received: optimizer={self.model.optimizer!r}."
            )

    def _found(self) -> Any:
        return find_clipped(self.model.optimizer)

    def on_train_batch_end(
        self, batch: int, logs: dict[str, Any] | None = None
    ) -> None:
        """Ends training if the limit is reached."""
        optimizer: Any = self._optimizer
        if not optimizer.built or self.model.stop_training:
            return
        skipped = int(optimizer.skipped_in_a_row)
        if skipped >= optimizer.stop_after:
            self.model.stop_training = True
            warnings.warn(
                f"Training ends: the last {skipped} updates were left out because "
                f"their gradients were not finite. The weights are as they were before "
                f"them.",
                stacklevel=2,
            )
