"""`keras.layers.LSTM` with a fused recurrence and resets."""

from __future__ import annotations

from typing import Any

import keras

from bptt_keras.kernels.lstm import lstm
from bptt_keras.layers._forget_gate import check_forget_gate
from bptt_keras.layers._fused import FusedRecurrence


@keras.saving.register_keras_serializable(package="bptt_keras")
class LSTM(FusedRecurrence, keras.layers.LSTM):
    """Long short-term memory, a drop-in for `keras.layers.LSTM`.

        i, f, o = sigmoid(x_t W + h_{t-1} U + b)      (three of the four parts)
        g = tanh(x_t W + h_{t-1} U + b)               (the other part)
        c_t = f * c_{t-1} + i * g
        h_t = o * tanh(c_t)

    Weights, configuration and results are those of Keras; only the loop over time
    differs, with a hand-written backward pass. On a CPU it is native code, called from
    within the programs of XLA; elsewhere, and in saved models, loops that XLA compiles
    well. The attribute `fused` says whether one of the two is used, which requires tanh
    and sigmoid, no recurrent dropout, no `unroll` and `use_cudnn` not True. Other
    settings run Keras' own loop. `why_not` says in words why a kernel does not run.

    There are two deliberate differences. A masked first step outputs the initial h,
    where Keras outputs zeros, so that cutting a sequence in two never changes a result;
    this matters only if the initial state is not zero. And the mask attached to the
    inputs also applies when an `initial_state` is given, where Keras drops it.

    Args:
        units: positive integer, the size of h and of c.
        implementation: "auto", "native", "fused", "cudnn" or "cell" (Keras' loop).
            "auto" is cuDNN on a GPU if XLA does not compile the layer and the sequence
            has neither mask nor resets, else the native kernel (a CPU, float32 or
            bfloat16), else the fused kernel, else Keras' loop; `kernel_of` says which.
            "native" raises when the layer is called on a machine where it cannot run.
            0, 1 and 2 are "auto" with Keras' meaning for its loop. Default: "auto".
        learn_initial_state: whether h and c start from trainable weights, initially
            zeros, instead of zeros. Rows are also reset to them; sequences with resets
            then run Keras' loop. Default: False.
        **kwargs: those of `keras.layers.LSTM`.

    Call arguments:
        sequences: `(batch, time, features)` floats.
        initial_state: list of h and c, each `(batch, units)`. Default: zeros.
        mask: `(batch, time)` booleans, False where a step is skipped. Default: the
            mask attached to the inputs.
        training: True applies dropout.
        reset: `(batch, time)` booleans, True where a row's h and c are set to zeros
            before the step (with `go_backwards`, before the step in the order of the
            loop). A masked step resets too. Default: None.

    Returns:
        h of the last step, `(batch, units)`, or with `return_sequences` of all steps,
        `(batch, time, units)`; with `return_state`, followed by the last h and c.

    Raises:
        TypeError: `reset` is not boolean.
        ValueError: `reset` or `mask` is not `(batch, time)`; `learn_initial_state` and
            `stateful` are both set; the layer does not support `implementation`.

    Example:

        layer = bk.layers.LSTM(4, return_sequences=True)
        x = np.ones((2, 6, 3), "float32")
        reset = np.zeros((2, 6), bool)
        reset[0, 3] = True
        h = layer(x, reset=reset)      # row 0: two sequences of three steps

    Source: Hochreiter & Schmidhuber 1997, Gers, Schmidhuber & Cummins 2000; gates in
    Keras' order i, f, g, o.
    """

    _states = ("h", "c")
    _has_cudnn = True
    _equals_cell = True

    def __init__(self, units: int, *args: Any, **kwargs: Any):
        super().__init__(units, *args, **kwargs)
        check_forget_gate(self.cell)

    def _activations_are_fused(self):
        return (
            self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
        )

    def _native_kind(self):
        return "lstm"

    def _run_kernel(self, sequences, initial_state, recurrent_kernel, run):
        kernel, bias = self._input_weights(sequences.dtype)
        return lstm(
            sequences,
            *initial_state,
            kernel,
            recurrent_kernel,
            bias,
            **run.flags._asdict(),
            save=self._saves(run.training),
            implementation=run.kernel,
        )
