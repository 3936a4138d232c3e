"""Averages weights over updates once validation stops improving (NT-ASGD)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras


@keras.saving.register_keras_serializable(package="zoo")
class AveragedSGD(keras.optimizers.SGD):
    """Plain SGD that can average the weights over its updates.

        w_k = w_{k-1} - learning_rate * g_k
        average_k = (w_{s+1} + ... + w_k) / (k - s)

    where s is the number of updates before `start`. The averages are variables of the
    optimizer, and are saved with it.

    Args:
        learning_rate: As in `keras.optimizers.SGD`.
        **kwargs: Other arguments of `keras.optimizers.SGD`.

    Example:
        from zoo.fitting.averaging import AveragedSGD

        weight = keras.Variable([0.0])
        optimizer = AveragedSGD(1.0)
        optimizer.build([weight])
        optimizer.start()
        for _ in range(3):
            optimizer.apply([tf.constant([-1.0])])
        optimizer.swap()                          # the mean of 1, 2 and 3
        assert weight.numpy() == [2.0]
        optimizer.swap()
        assert weight.numpy() == [3.0]

    Source: Polyak & Juditsky (1992).
    """

    def __init__(self, learning_rate: Any = 0.01, **kwargs: Any) -> None:
        super().__init__(learning_rate, **kwargs)

    def build(self, variables: list[keras.Variable]) -> None:
        """Creates the averages."""
        if self.built:
            return
        super().build(variables)
        self.followed = list(variables)
        self.averages = [
            self.add_variable_from_reference(v, name="mean") for v in variables
        ]
        # Number of updates in the averages; -1 before `start`.
        self.count = self.add_variable(
            shape=(), initializer=keras.initializers.Constant(-1), name="count"
        )

    def apply(
        self, grads: list[Any], trainable_variables: list[keras.Variable] | None = None
    ) -> None:
        """Updates the weights, and then their averages."""
        super().apply(grads, trainable_variables)
        ops = keras.ops
        count = ops.where(self.count < 0, -1.0, self.count + 1)
        share = ops.where(count > 0, 1 / ops.maximum(count, 1), 0.0)
        for weight, average in zip(self.followed, self.averages, strict=True):
            change = ops.cast(share, weight.dtype) * (weight - average)
            average.assign_add(change)
        self.count.assign(count)

    @property
    def started(self) -> bool:
        """Whether averaging has started."""
        return self.built and float(self.count) >= 0

    def start(self) -> None:
        """Starts averaging with the next update."""
        self.count.assign(0.0)

    def swap(self) -> None:
        """Swaps weights and averages, if there are averages yet."""
        if not float(self.count) > 0:
            return
        for weight, average in zip(self.followed, self.averages, strict=True):
            value = keras.ops.convert_to_numpy(weight)
            weight.assign(average)
            average.assign(value)


class NonMonotone(keras.callbacks.Callback):
    """Starts the averages of an `AveragedSGD`, and uses them for validation.

    They start after the first epoch whose validation loss is above the best loss of the
    epochs that lie `patience` or more before it. From then on the model has the
    averages from the start of validation until this callback's `on_epoch_end`, and
    continues to train with the weights themselves.

    Args:
        patience: Number of epochs, at least 1.
        losses: Function that returns the validation losses of all epochs so far.

    Source: Merity, Keskar & Socher (2018), algorithm 1.
    """

    def __init__(self, patience: int, losses: Callable[[], list[float]]) -> None:
        super().__init__()
        self.patience = patience
        self.losses = losses
        self._swapped = False

    @property
    def _optimizer(self) -> AveragedSGD:
        """The `AveragedSGD`, which may be wrapped in a clipping rule."""
        optimizer = self.model.optimizer
        return getattr(optimizer, "inner_optimizer", optimizer)

    def on_test_begin(self, logs: dict[str, Any] | None = None) -> None:
        """Swaps the averages into the model."""
        self._swapped = self._optimizer.started
        if self._swapped:
            self._optimizer.swap()

    def on_epoch_end(self, epoch: int, logs: dict[str, Any] | None = None) -> None:
        """Swaps the weights back, or starts the averages."""
        if self._swapped:
            self._optimizer.swap()
            self._swapped = False
        elif self._stalls(self.losses()):
            self._optimizer.start()

    def _stalls(self, losses: list[float]) -> bool:
        *before, last = losses
        return len(before) > self.patience and last > min(before[: -self.patience])
