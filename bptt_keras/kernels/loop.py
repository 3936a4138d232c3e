"""The loop over time for any Keras cell."""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from bptt_keras.types import Structure, Tensor


def cell_loop(
    step: Callable[[Structure, Structure], tuple[Tensor, Structure]],
    inputs: Structure,
    states: Structure,
    *,
    mask: Tensor | None = None,
    reset: Tensor | None = None,
    initial_states: Structure = None,
    previous_output: Tensor | None = None,
    initial_output: Tensor | None = None,
    unroll: bool = False,
) -> tuple[Tensor, Tensor, Structure]:
    """Apply a cell along time, with masks and resets, differentiably.

        states = where(reset_t, initial_states, states)
        output, new_states = step(inputs_t, states)
        where mask_t is False: states do not change and the last output is repeated

    Args:
        step: function `(x_t, states) -> (output, new_states)`; `states` in and out
            have the same structure, `output` is one tensor `(batch, ...)`.
        inputs: `(batch, time, ...)` tensor, or a nested structure of them; at least
            one step.
        states: nested structure of `(batch, ...)` tensors.
        mask: `(batch, time)` booleans, False where a row has no input, or None.
        reset: `(batch, time)` booleans, True where a row returns to
            `initial_states` before the step, or None.
        initial_states: same structure as `states`; needed with `reset`.
        previous_output: `(batch, ...)`, the output of a masked first step. Default:
            zeros.
        initial_output: `(batch, ...)`, the output of a masked step after a reset.
            Default: zeros.
        unroll: unroll the steps instead of using a loop; the number of steps must then
            be known when the function is traced. A single step never takes a loop.

    Returns:
        `(last_output, outputs, states)`: the output of the last step `(batch, ...)`,
        all outputs `(batch, time, ...)`, and the last states.

    Raises:
        ValueError: `reset` without `initial_states`, or `unroll` with an unknown
            number of steps.

    Example:

        from bptt_keras.kernels.loop import cell_loop

        cell = keras.layers.LSTMCell(3)
        last, outputs, states = cell_loop(
            cell, tf.zeros((2, 7, 5)), cell.get_initial_state(2)
        )
    """
    if reset is not None and initial_states is None:
        raise ValueError(
            "`reset` needs `initial_states`, the values that a flagged row goes back "
            "to. Received: initial_states=None."
        )
    inputs, mask, reset = tf.nest.map_structure(
        _swap_batch_and_time, (inputs, mask, reset)
    )
    states, initial_states, previous_output, initial_output = tf.nest.map_structure(
        _as_tensor, (states, initial_states, previous_output, initial_output)
    )

    def advance(t, output, states):
        return _one_step(
            step,
            tf.nest.map_structure(lambda x: x[t], inputs),
            output,
            states,
            keep=None if mask is None else mask[t],
            fresh=None if reset is None else reset[t],
            initial_states=initial_states,
            initial_output=initial_output,
        )

    first = tf.nest.flatten(inputs)[0]
    # The first step comes before the loop, to find the shape of an output.
    output, states = advance(0, previous_output, states)
    if unroll or first.shape[0] == 1:
        outputs, output, states = _unrolled(advance, first.shape[0], output, states)
    else:
        length = first.shape[0] or tf.shape(first)[0]
        outputs, output, states = _looped(advance, length, output, states)
    return output, _swap_batch_and_time(outputs), states


def _one_step(
    step: Callable[[Structure, Structure], tuple[Tensor, Structure]],
    x: Structure,
    last_output: Tensor | None,
    states: Structure,
    *,
    keep: Tensor | None,
    fresh: Tensor | None,
    initial_states: Structure,
    initial_output: Tensor | None,
) -> tuple[Tensor, Structure]:
    if fresh is not None:
        states = _choose(fresh, initial_states, states)
    output, new_states = step(x, states)
    # A cell may return a list where it got a tuple; a loop needs the same type.
    new_states = tf.nest.pack_sequence_as(states, tf.nest.flatten(new_states))
    if keep is not None:
        zeros = tf.zeros_like(output)
        last_output = zeros if last_output is None else last_output
        if fresh is not None:
            initial_output = zeros if initial_output is None else initial_output
            last_output = _choose(fresh, initial_output, last_output)
        output = _choose(keep, output, last_output)
        new_states = _choose(keep, new_states, states)
    return output, new_states


def _unrolled(
    advance: Callable[
        [int | Tensor, Tensor | None, Structure], tuple[Tensor, Structure]
    ],
    length: int | None,
    output: Tensor,
    states: Structure,
) -> tuple[Tensor, Tensor, Structure]:
    if length is None:
        raise ValueError(
            "`unroll=True` needs a number of steps that is known when the function is "
            "traced. Received: inputs of shape (batch, None, ...). Give the time "
            "dimension a length, or set `unroll=False`."
        )
    outputs = [output]
    for t in range(1, length):
        output, states = advance(t, output, states)
        outputs.append(output)
    return tf.stack(outputs), output, states


def _looped(
    advance: Callable[
        [int | Tensor, Tensor | None, Structure], tuple[Tensor, Structure]
    ],
    length: int | Tensor,
    output: Tensor,
    states: Structure,
) -> tuple[Tensor, Tensor, Structure]:
    outputs = tf.TensorArray(output.dtype, size=length, element_shape=output.shape)
    # XLA differentiates a loop only if it knows a bound on its number of iterations;
    # the exact one, length - 1, would give an empty buffer for a single step.
    _, outputs, output, states = tf.while_loop(
        lambda t, *_: t < length,
        lambda t, outputs, output, states: _write(t, outputs, advance, output, states),
        (1, outputs.write(0, output), output, states),
        maximum_iterations=length,
    )
    return outputs.stack(), output, states


def _write(
    t: Tensor,
    outputs: tf.TensorArray,
    advance: Callable[
        [int | Tensor, Tensor | None, Structure], tuple[Tensor, Structure]
    ],
    output: Tensor,
    states: Structure,
) -> tuple[Tensor, tf.TensorArray, Tensor, Structure]:
    output, states = advance(t, output, states)
    return t + 1, outputs.write(t, output), output, states


def _choose(flags: Tensor, if_true: Structure, if_false: Structure) -> Structure:
    """`where` by rows for nested structures of `(batch, ...)` tensors."""

    def choose(a, b):
        return tf.where(tf.reshape(flags, [-1] + [1] * (b.shape.rank - 1)), a, b)

    return tf.nest.map_structure(choose, if_true, if_false)


def _as_tensor(x: Tensor | None) -> Tensor | None:
    return None if x is None else tf.convert_to_tensor(x)


def _swap_batch_and_time(x: Tensor | None) -> Tensor | None:
    x = _as_tensor(x)
    return None if x is None else tf.transpose(x, [1, 0, *range(2, x.shape.rank)])
