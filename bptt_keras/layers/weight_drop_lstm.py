"""LSTM that drops weights of its recurrent kernel."""

from __future__ import annotations

from typing import Any

import keras

from bptt_keras.kernels.dropout import dropout
from bptt_keras.layers._rates import checked_rate, refuse_unless_fused
from bptt_keras.layers.lstm import LSTM


@keras.saving.register_keras_serializable(package="bptt_keras")
class WeightDropLSTM(LSTM):
    """LSTM that drops individual weights of its recurrent kernel in training.

        U' = U * kept / (1 - weight_dropout),   h_t, c_t = LSTM with U' for U

    One mask is used for all rows and steps of a call, which in truncated
    backpropagation is a window. Inference uses U. The weights and the kernel that runs
    are those of `LSTM`.

    Args:
        units: positive integer, the size of h and of c.
        weight_dropout: fraction of U to drop, at least 0 and below 1. Default: 0.
        weight_dropout_seed: integer, for the draws. Default: None, random.
        **kwargs: those of `LSTM`, with values that the fused kernel supports.

    Call arguments:
        sequences: `(batch, time, features)` floats.
        initial_state: list of h and c, each `(batch, units)`. Default: zeros.
        mask: `(batch, time)` booleans, False where a step is skipped. Default: the
            mask attached to the inputs.
        training: True drops weights and applies dropout.
        reset: `(batch, time)` booleans, True where a row's h and c are set to zeros
            before the step. A masked step resets too. Default: None.

    Returns:
        h of the last step, `(batch, units)`, or with `return_sequences` of all steps,
        `(batch, time, units)`; with `return_state`, followed by the last h and c.

    Raises:
        TypeError: `reset` is not boolean.
        ValueError: `weight_dropout` is out of range; an option excludes the
            fused kernel; `reset` or `mask` is not `(batch, time)`.

    Example:

        layer = bk.layers.WeightDropLSTM(4, weight_dropout=0.5)
        h = layer(np.ones((2, 6, 3), "float32"), training=True)

    Source: Merity, Keskar & Socher, "Regularizing and Optimizing LSTM Language Models"
    (2017), section 2; DropConnect is by Wan et al. (2013).
    """

    _has_cudnn = False
    _equals_cell = False

    def __init__(
        self,
        units: int,
        weight_dropout: float = 0.0,
        *,
        weight_dropout_seed: int | None = None,
        **kwargs: Any,
    ):
        super().__init__(units, **kwargs)
        refuse_unless_fused(self)
        self.weight_dropout = checked_rate("weight_dropout", weight_dropout, below=True)
        self.weight_dropout_seed = weight_dropout_seed
        self.weight_dropout_generator = keras.random.SeedGenerator(weight_dropout_seed)

    def _dropped_kernel(self, recurrent_kernel, training):
        if not training or self.weight_dropout == 0:
            return recurrent_kernel
        seed = self.weight_dropout_generator.next()
        return dropout(recurrent_kernel, self.weight_dropout, seed)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "weight_dropout": self.weight_dropout,
            "weight_dropout_seed": self.weight_dropout_seed,
        }
