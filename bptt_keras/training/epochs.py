"""What has to happen between epochs, as a Keras callback."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from bptt_keras.training.clipping.guard import Guard
from bptt_keras.training.clipping.optimizer import find_clipped
from bptt_keras.training.clipping.stop import StopOnSkipped
from bptt_keras.training.engine import Engine


class Epochs(keras.callbacks.Callback):
    """Starts each epoch of a `fit` afresh, and applies gradients pending at its end.

    Args:
        engine_of: Function without arguments: the trainer's `Engine`, which is replaced
            when an option changes.
        fresh: Whether each epoch starts from the initial state.
        keep_first: Whether the first epoch continues from the current state.
    """

    def __init__(
        self, engine_of: Callable[[], Engine], *, fresh: bool, keep_first: bool
    ):
        super().__init__()
        self._engine_of = engine_of
        self._fresh = fresh
        self._keeps = keep_first
        self._warned = False
        self._skipped, self._told = 0, False

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Notes how many updates have been skipped before."""
        self._skipped = self._skipped_updates()

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Clears the state if the epoch starts afresh, and tells the schedule."""
        if self._fresh and not self._keeps:
            self._engine_of().clear("fit")
        self._keeps = False
        self._engine_of().begin_epoch(epoch)

    def on_test_begin(self, logs: dict | None = None) -> None:
        """Applies pending gradients: validation uses the weights after all updates."""
        self._engine_of().flush()

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Applies pending gradients, and warns of what was not finite."""
        self._engine_of().flush()
        self._warn_of_skipped(epoch)
        clipped = find_clipped(self._engine_of().compilation.optimizer)
        if clipped is not None and clipped.skip_nonfinite:
            return  # Nothing is spoilt.
        bad = [
            name
            for name in ("loss", "grad_norm")
            if not np.isfinite((logs or {}).get(name, 0.0))
        ]
        if bad and not self._warned:
            self._warned = True
            warnings.warn(
                f"Not finite in epoch {epoch + 1}: {' and '.join(bad)}. The weights "
                f"are spoilt, or will be. Bound the gradients (`clipnorm` of the "
                f"optimizer, or `bptt_keras.clipping`), lower the learning rate, or "
                f"end such a training with `keras.callbacks.TerminateOnNaN`.",
                stacklevel=2,
            )

    def _warn_of_skipped(self, epoch: int) -> None:
        """Says once that windows were left out, unless the user asked for it."""
        skipped = self._skipped_updates() - self._skipped
        if skipped and not self._told:
            self._told = True
            warnings.warn(
                f"In epoch {epoch + 1}, {_updates(skipped)} left out because gradients "
                f"were not finite; rows whose state was not finite have "
                f"started afresh. Bound the gradients (`clipnorm` of the optimizer, or "
                f"`bptt_keras.clipping`) or lower the learning rate. "
                f"`TruncatedBPTT(..., skip_nonfinite=False)` applies such updates.",
                stacklevel=2,
            )

    def _skipped_updates(self) -> int:
        optimizer = self._engine_of().compilation.optimizer
        if not isinstance(optimizer, Guard) or not optimizer.built:
            return 0
        return int(optimizer.skipped)


class _Stop(StopOnSkipped):
    """Ends a `fit` whose updates are all skipped, by whom ever."""

    def __init__(self, engine_of: Callable[[], Engine]):
        super().__init__()
        self._engine_of = engine_of

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Nothing: the optimizer may be replaced later."""

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Ends training if the limit is reached."""
        self._optimizer = self._found()
        if self._optimizer is not None and self._optimizer.stop_after is not None:
            super().on_train_batch_end(batch, logs)

    def _found(self) -> Any:
        return find_clipped(self._engine_of().compilation.optimizer)


def with_epochs(
    engine_of: Callable[[], Engine],
    callbacks: Any,
    *,
    fresh: bool,
    keep_first: bool,
) -> Any:
    """The callbacks of a `fit` together with those of the trainer.

    Args:
        engine_of: See `Epochs`.
        callbacks: As for `fit`: `None`, a callback, a list or a `CallbackList`.
        fresh: See `Epochs`.
        keep_first: See `Epochs`.

    Returns:
        The callbacks with the trainer's: last in a `CallbackList`, else first.
    """
    ours = [
        Epochs(engine_of, fresh=fresh, keep_first=keep_first),
        _Stop(engine_of),
    ]
    if isinstance(callbacks, keras.callbacks.CallbackList):
        for callback in ours:
            callbacks.append(callback)
        return callbacks
    return [*ours, *keras.tree.flatten(callbacks or [])]


def _updates(count: int) -> str:
    return "1 update was" if count == 1 else f"{count} updates were"
