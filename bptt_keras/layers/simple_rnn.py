"""`keras.layers.SimpleRNN` with a fused recurrence and resets."""

import keras

from bptt_keras.kernels.simple_rnn import ACTIVATIONS, simple_rnn
from bptt_keras.layers._fused import FusedRecurrence


@keras.saving.register_keras_serializable(package="bptt_keras")
class SimpleRNN(FusedRecurrence, keras.layers.SimpleRNN):
    """Elman's recurrent network, a drop-in for `keras.layers.SimpleRNN`.

        h_t = activation(x_t W + b + h_{t-1} U)

    Weights, configuration and results are those of Keras; only the loop over time
    differs, with a hand-written backward pass. On a CPU it is native code, called from
    within the programs of XLA; elsewhere, and in saved models, loops that XLA compiles
    well. The attribute `fused` says whether one of the two is used, which requires
    tanh, relu or linear, no recurrent dropout and no `unroll`. Other settings run
    Keras' own loop. `why_not` says in words why a kernel does not run.

    There are two deliberate differences: see `LSTM`.

    Args:
        units: positive integer, the size of h.
        implementation: "auto", "native", "fused" or "cell" (Keras' loop). "auto" is the
            native kernel (a CPU, float32 or bfloat16), else the fused kernel, else
            Keras' loop; `kernel_of` says which. "native" raises when the layer is
            called on a machine where it cannot run. Default: "auto".
        learn_initial_state: whether h starts from a trainable weight, initially zeros,
            instead of zeros. Rows are also reset to it; sequences with resets then run
            Keras' loop. Default: False.
        **kwargs: those of `keras.layers.SimpleRNN`.

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

        layer = bk.layers.SimpleRNN(4, return_sequences=True)
        x = np.ones((2, 6, 3), "float32")
        reset = np.zeros((2, 6), bool)
        reset[0, 3] = True
        h = layer(x, reset=reset)      # row 0: two sequences of three steps

    Source: Elman 1990.
    """

    _equals_cell = True

    def _activation_name(self):
        for name in ACTIVATIONS:
            if self.activation is keras.activations.get(name):
                return name
        return None

    def _activations_are_fused(self):
        return self._activation_name() is not None

    def _native_kind(self):
        name = self._activation_name()
        return None if name is None else f"simple_rnn_{name}"

    def _run_kernel(self, sequences, initial_state, recurrent_kernel, run):
        kernel, bias = self._input_weights(sequences.dtype)
        return simple_rnn(
            sequences,
            *initial_state,
            kernel,
            recurrent_kernel,
            bias,
            activation=self._activation_name(),
            **run.flags._asdict(),
            save=self._saves(run.training),
            implementation=run.kernel,
        )
