"""`keras.layers.GRU` with a fused recurrence and resets."""

import keras
import tensorflow as tf

from bptt_keras.kernels.gru import gru
from bptt_keras.layers._fused import FusedRecurrence


@keras.saving.register_keras_serializable(package="bptt_keras")
class GRU(FusedRecurrence, keras.layers.GRU):
    """Gated recurrent unit, a drop-in for `keras.layers.GRU`.

        z, r = sigmoid(x_t W + b + h_{t-1} U + b_r)   (two of the three parts)
        g = tanh(x_t W + b + r * (h_{t-1} U + b_r))   (the third part)
        h_t = z * h_{t-1} + (1 - z) * g

    Weights, configuration and results are those of Keras; only the loop over time
    differs, with a hand-written backward pass. On a CPU it is native code, called from
    within the programs of XLA; elsewhere, and in saved models, loops that XLA compiles
    well. The attribute `fused` says whether one of the two is used, which requires tanh
    and sigmoid, no recurrent dropout, no `unroll`, `use_cudnn` not True and, except for
    native code, `reset_after`. Other settings run Keras' own loop. `why_not` says in
    words why a kernel does not run.

    There are two deliberate differences: see `LSTM`.

    Args:
        units: positive integer, the size of h.
        implementation: "auto", "native", "fused", "cudnn" or "cell" (Keras' loop).
            "auto" is cuDNN on a GPU if XLA does not compile the layer and the sequence
            has neither mask nor resets, else the native kernel (a CPU, float32 or
            bfloat16), else the fused kernel, else Keras' loop; `kernel_of` says which.
            "native" raises when the layer is called on a machine where it cannot run.
            0, 1 and 2 are "auto" with Keras' meaning for its loop. Default: "auto".
        learn_initial_state: whether h starts from a trainable weight, initially zeros,
            instead of zeros. Rows are also reset to it; sequences with resets then run
            Keras' loop. Default: False.
        **kwargs: those of `keras.layers.GRU`.

    Call arguments:
        sequences: `(batch, time, features)` floats.
        initial_state: h, `(batch, units)`. Default: zeros.
        mask: `(batch, time)` booleans, False where a step is skipped. Default: the
            mask attached to the inputs.
        training: True applies dropout.
        reset: `(batch, time)` booleans, True where a row's h is set to zeros before
            the step (with `go_backwards`, before the step in the order of the loop).
            A masked step resets too. Default: None.

    Returns:
        h of the last step, `(batch, units)`, or with `return_sequences` of all steps,
        `(batch, time, units)`; with `return_state`, followed by the last h.

    Raises:
        TypeError: `reset` is not boolean.
        ValueError: `reset` or `mask` is not `(batch, time)`; `learn_initial_state` and
            `stateful` are both set; the layer does not support `implementation`.

    Example:

        layer = bk.layers.GRU(4, return_sequences=True)
        x = np.ones((2, 6, 3), "float32")
        reset = np.zeros((2, 6), bool)
        reset[0, 3] = True
        h = layer(x, reset=reset)      # row 0: two sequences of three steps

    Source: Cho et al. 2014; gates in Keras' order z, r, g.
    """

    _has_cudnn = True
    _equals_cell = True

    def _activations_are_fused(self):
        return (
            self.activation is keras.activations.tanh
            and self.recurrent_activation is keras.activations.sigmoid
        )

    def _why_not_fused(self):
        reason = super()._why_not_fused()
        return reason or (None if self.reset_after else "reset_after=False")

    def _input_bias(self):
        return self._bias_row(0)

    def _native_kind(self):
        return "gru" if self.reset_after else "gru_reset_before"

    def _run_kernel(self, sequences, initial_state, recurrent_kernel, run):
        kernel, bias = self._input_weights(sequences.dtype)
        recurrent_bias = self._bias_row(1)
        if recurrent_bias is not None:
            recurrent_bias = tf.cast(recurrent_bias, sequences.dtype)
        return gru(
            sequences,
            *initial_state,
            kernel,
            recurrent_kernel,
            bias,
            recurrent_bias,
            **run.flags._asdict(),
            reset_after=self.reset_after,
            save=self._saves(run.training),
            implementation=run.kernel,
        )

    def _bias_row(self, row):
        """Row 0 belongs to the inputs, row 1 to the recurrent product.

        With `reset_after=False` there is one bias, that of the inputs.
        """
        bias = self.cell.bias
        if bias is None or (row and not self.reset_after):
            return None
        bias = tf.convert_to_tensor(bias)
        return bias[row] if self.reset_after else bias
