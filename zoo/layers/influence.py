"""The recurrence of the influence-balancing problem."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from zoo.layers.types import Shape, Tensor

UNITS, POSITIVE = 23, 10


@keras.saving.register_keras_serializable(package="zoo")
class Influence(keras.layers.RNN):
    """A chain of 23 units that one weight theta drives, with opposite effects in time.

        s_{t+1} = A s_t + theta v,      A = (I + superdiagonal) / 2,      s_0 = 1

    with v = 1 for the first 10 units and -1 for the other 13. The output is the first
    unit. Raising theta raises it at first and lowers it later, when the input of the
    far units has come down the chain: the unit settles at -6 theta.

    Args:
        **kwargs: `name` and `dtype`.

    Call arguments:
        inputs: Floats `(batch, time, 1)`; only their number of timesteps matters.

    Returns:
        `s^1` of each timestep, `(batch, time, 1)`.

    Example:
        from zoo.layers import Influence

        layer = Influence()
        outputs = layer(np.zeros((1, 300, 1), "float32"))
        np.testing.assert_allclose(outputs[0, -1], -6 * layer.cell.theta, rtol=1e-5)

    Source: Tallec & Ollivier, "Unbiasing truncated backpropagation through time"
    (2017), section 5.
    """

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(InfluenceCell(), return_sequences=True, **kwargs)

    def get_config(self) -> dict[str, Any]:
        # The cell and its options are always the same.
        return keras.layers.Layer.get_config(self)


class InfluenceCell(keras.layers.Layer):
    """One timestep of `Influence`. Its only weight is theta, 0.5 before training."""

    state_size = UNITS
    output_size = 1

    def build(self, input_shape: Shape) -> None:
        self.theta = self.add_weight(
            shape=(), initializer=keras.initializers.Constant(0.5), name="theta"
        )
        self._chain = (0.5 * (np.eye(UNITS) + np.eye(UNITS, k=-1))).astype("float32")
        signs = np.repeat([1.0, -1.0], [POSITIVE, UNITS - POSITIVE])
        self._signs = signs.astype("float32")

    def get_initial_state(self, batch_size: Tensor | int | None = None) -> list[Tensor]:
        return [keras.ops.ones((batch_size, UNITS), self.compute_dtype)]

    def call(self, inputs: Tensor, states: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        state = keras.ops.matmul(states[0], self._chain) + self.theta * self._signs
        return state[:, :1], [state]
