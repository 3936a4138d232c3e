"""Independently recurrent network."""

import keras

from bptt_keras.kernels.recurrence import recurrence
from bptt_keras.layers._cell_layer import CellLayer
from bptt_keras.layers.ind_rnn_cell import IndRNNCell


@keras.saving.register_keras_serializable(package="bptt_keras")
class IndRNN(CellLayer):
    """Recurrent network in which each unit depends only on its own past.

        h_t = activation(x_t W + u * h_{t-1} + b)

    Args:
        units: positive integer, the size of h.
        **kwargs: `activation`, `use_bias`, `kernel_initializer`,
            `recurrent_initializer`, `bias_initializer`, `kernel_regularizer`,
            `recurrent_regularizer`, `bias_regularizer`, `kernel_constraint`,
            `bias_constraint` and `recurrent_clip`, see `IndRNNCell`; and those of
            `keras.layers.RNN`: `return_sequences`, `return_state`, `go_backwards`,
            `stateful`, `unroll`, `zero_output_for_mask`.

    Call arguments:
        sequences: `(batch, time, features)` floats.
        initial_state: h, `(batch, units)`. Default: zeros.
        mask: `(batch, time)` booleans, False where a step is skipped. Default: the
            mask attached to the inputs.
        training: boolean; has no effect here.
        reset: `(batch, time)` booleans, True where a row's h is set to zeros before
            the step. A masked step resets too. Default: None.

    Returns:
        h of the last step, `(batch, units)`, or with `return_sequences` of all steps,
        `(batch, time, units)`; with `return_state`, followed by the last h.

    Raises:
        TypeError: `reset` is not boolean.
        ValueError: `reset` or `mask` is not `(batch, time)`.

    Example:

        layer = bk.layers.IndRNN(4, recurrent_clip=2 ** (1 / 64))
        h = layer(np.ones((2, 6, 3), "float32"))

    Source: Li et al., "Independently Recurrent Neural Network (IndRNN): Building A
    Longer and Deeper RNN" (2018).
    """

    _cell_class = IndRNNCell

    def _run_kernel(self, sequences, initial_state, recurrent_kernel, run):
        def step(x, m, states, extra, u):
            return (self.cell.activation(x + u * states[0]),)

        return recurrence(
            step,
            self._project(sequences),
            tuple(initial_state),
            None,
            (recurrent_kernel,),
            **run.flags._asdict(),
        )
