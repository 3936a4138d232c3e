"""LSTM with layer normalisation inside its recurrence."""

import keras
import tensorflow as tf

from bptt_keras.kernels.recurrence import recurrence
from bptt_keras.layers._cell_layer import CellLayer
from bptt_keras.layers.layer_norm_lstm_cell import LayerNormLSTMCell, normalise


@keras.saving.register_keras_serializable(package="bptt_keras")
class LayerNormLSTM(CellLayer):
    """LSTM that normalises its projections and its cell state at every step.

        z_t = LN(x_t W) * a_x + LN(h_{t-1} U) * a_h + b,   parts i, f, g, o
        c_t = sigmoid(z_f) * c_{t-1} + sigmoid(z_i) * tanh(z_g)
        h_t = sigmoid(z_o) * tanh(LN(c_t) * a_c + b_c)

    LN subtracts the mean over the units and divides by sqrt(variance + epsilon); the
    four parts of a projection are normalised together.

    Args:
        units: positive integer, the size of h and of c.
        **kwargs: `activation`, `recurrent_activation`, `use_bias`,
            `kernel_initializer`, `recurrent_initializer`, `bias_initializer`,
            `unit_forget_bias`, `kernel_regularizer`, `recurrent_regularizer`,
            `bias_regularizer`, `kernel_constraint`, `recurrent_constraint`,
            `bias_constraint` and `epsilon`, see `LayerNormLSTMCell`; and those of
            `keras.layers.RNN`: `return_sequences`, `return_state`, `go_backwards`,
            `stateful`, `unroll`, `zero_output_for_mask`.

    Call arguments:
        sequences: `(batch, time, features)` floats.
        initial_state: list of h and c, each `(batch, units)`. Default: zeros.
        mask: `(batch, time)` booleans, False where a step is skipped. Default: the
            mask attached to the inputs.
        training: boolean; has no effect here.
        reset: `(batch, time)` booleans, True where a row's h and c are set to zeros
            before the step. A masked step resets too. Default: None.

    Returns:
        h of the last step, `(batch, units)`, or with `return_sequences` of all steps,
        `(batch, time, units)`; with `return_state`, followed by the last h and c.

    Raises:
        TypeError: `reset` is not boolean.
        ValueError: `reset` or `mask` is not `(batch, time)`.

    Example:

        layer = bk.layers.LayerNormLSTM(4, return_sequences=True)
        h = layer(np.ones((2, 6, 3), "float32"))

    Source: Ba, Kiros & Hinton, "Layer Normalization" (2016), equations 20 to 22.
    There each projection has its own bias; only their sum matters, which is b here.
    """

    _cell_class = LayerNormLSTMCell

    def _project(self, sequences):
        shape = tf.shape(sequences)
        rows = tf.reshape(sequences, (-1, sequences.shape[-1]))
        z = self.cell.project(rows, sequences.dtype)
        return tf.reshape(z, tf.concat([shape[:2], [z.shape[-1]]], axis=0))

    def _run_kernel(self, sequences, initial_state, recurrent_kernel, run):
        cell = self.cell
        weights = [cell.recurrent_gain, cell.state_gain]
        if cell.use_bias:
            weights.append(cell.state_bias)

        def step(x, m, states, extra, recurrent_gain, state_gain, state_bias=None):
            z = x + normalise(m, recurrent_gain, None, cell.epsilon)
            return cell.gated(z, states[1], state_gain, state_bias)

        return recurrence(
            step,
            self._project(sequences),
            tuple(initial_state),
            recurrent_kernel,
            [tf.convert_to_tensor(w) for w in weights],
            **run.flags._asdict(),
        )
