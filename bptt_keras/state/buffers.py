"""What a model changes by itself, as values: random seeds, moving averages."""

from __future__ import annotations

from collections.abc import Sequence

import keras

from bptt_keras.types import Tensor


class Buffers(keras.StatelessScope):
    """A scope in which variables that a model changes by itself are plain values.

    Random seeds, moving averages and the like are read from the given values, and
    their new values are collected, so that a model's forward pass is a pure function.

    Args:
        variables: The variables, as found by `discover`.
        values: Their values, in order.
        trainable: The model's trainable variables, which are read unchanged.
    """

    def __init__(
        self,
        variables: Sequence[keras.Variable],
        values: Sequence[Tensor],
        trainable: Sequence[keras.Variable],
    ):
        mapping = [*zip(variables, values, strict=True)]
        mapping += [(variable, variable.value) for variable in trainable]
        super().__init__(mapping, collect_losses=True)
        self._variables = list(variables)
        self.changed: list[keras.Variable] = []

    def add_update(self, update: tuple[keras.Variable, Tensor]) -> None:
        """Keeps a new value; Keras calls this on `variable.assign`."""
        if all(update[0] is not known for known in self.changed):
            self.changed.append(update[0])
        super().add_update(update)

    def new_values(self) -> list[Tensor]:
        """New values of the variables, in order.

        Raises:
            RuntimeError: If any other variable was changed.
        """
        unknown = [
            variable.path
            for variable in self.changed
            if all(variable is not known for known in self._variables)
        ]
        if unknown:
            raise RuntimeError(
                f"The model changes variables in this call that it did not change "
                f"when it was examined: {unknown}. Change them in every call, or "
                f"in none."
            )
        return [self.get_current_value(variable) for variable in self._variables]
