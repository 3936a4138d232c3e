"""Initial weights for recurrent layers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.types import Tensor

__all__ = ["Chrono"]

_GATES = {"lstm": 4, "gru": 3}


@keras.saving.register_keras_serializable(package="bptt_keras")
class Chrono(keras.initializers.Initializer):
    """Gate biases for dependencies of up to `longest` timesteps.

        LSTM:  b_f = log(u),  b_i = -b_f      u ~ U[1, longest - 1], one per unit
        GRU:   b_z = log(u)                   (Keras' z keeps the past)

    and zeros for the other gates. A forget gate sigmoid(log(u)) = u / (u + 1) keeps
    the past for about u + 1 timesteps.

    Pass it as `bias_initializer`, with `unit_forget_bias=False`: otherwise Keras' LSTM
    would set the forget gate's biases to 1 instead, and this package's layers refuse
    the combination.

    Args:
        longest: Longest expected dependency, a number of timesteps > 2.
        cell: `"lstm"` (default; gates i, f, c, o) or `"gru"` (gates z, r, h).
        seed: Integer that makes draws repeatable. Default (`None`): random.

    Call arguments:
        shape: `(4 * units,)` for an LSTM; `(3 * units,)` or, with `reset_after`,
            `(2, 3 * units)` for a GRU, whose first row then gets the biases.
        dtype: Dtype of the biases. Default (`None`): `keras.config.floatx()`.

    Returns:
        Tensor of that shape.

    Raises:
        TypeError: If `longest` is not a number.
        ValueError: If an argument is out of range, or `shape` is not that of a bias of
            the cell.

    Example:
        layer = bk.layers.LSTM(
            8,
            bias_initializer=bk.initializers.Chrono(100, seed=1),
            unit_forget_bias=False,
        )
        layer.build((None, None, 3))
        i, f, _, _ = np.split(layer.cell.bias.numpy(), 4)
        assert (f >= 0).all() and (f <= np.log(99)).all() and (i == -f).all()

    Source: Tallec & Ollivier, "Can recurrent neural networks warp time?" (2018).
    """

    def __init__(self, longest: float, *, cell: str = "lstm", seed: int | None = None):
        if isinstance(longest, bool) or not isinstance(longest, int | float):
            raise TypeError(
                f"`longest` must be a number of timesteps. Received: longest="
                f"{longest!r} of type {type(longest).__name__}."
            )
        if not longest > 2:
            raise ValueError(
                f"`longest` must be above 2 timesteps. Received: longest={longest}."
            )
        if cell not in _GATES:
            raise ValueError(
                f"`cell` must be one of {sorted(_GATES)}. Received: cell={cell!r}."
            )
        # Read by layers that would set the forget gate's bias themselves.
        self.sets_forget_gate = cell == "lstm"
        self.longest = longest
        self.cell = cell
        self.seed = seed

    def __call__(self, shape: Sequence[int], dtype: Any = None) -> Tensor:
        dtype = keras.backend.standardize_dtype(dtype)
        gates, shape = _GATES[self.cell], tuple(shape)
        rows = shape[:-1]
        if rows not in ((), (2,) if self.cell == "gru" else ()) or shape[-1] % gates:
            raise ValueError(
                f"`Chrono` makes the bias of a cell with {gates} gates, shape "
                f"({gates} * units,). Received: shape={shape}. Give it as "
                f"`bias_initializer`, with `cell` as the layer is."
            )
        units = shape[-1] // gates
        uniform = keras.initializers.RandomUniform(1.0, self.longest - 1, self.seed)
        keeps = tf.math.log(tf.cast(uniform((units,), "float32"), "float64"))
        zeros = tf.zeros_like(keeps)
        by_gate = [-keeps, keeps, zeros, zeros]
        if self.cell == "gru":
            by_gate = [keeps, zeros, zeros]
        bias = tf.concat(by_gate, axis=0)
        if rows:
            bias = tf.stack([bias, tf.zeros_like(bias)])
        return tf.cast(bias, dtype)

    def get_config(self) -> dict[str, Any]:
        """Arguments of the constructor."""
        return {"longest": self.longest, "cell": self.cell, "seed": self.seed}
