"""One loop over time, and what masks and resets do to rows of a state."""

import tensorflow as tf


def scan(step, sequences, carry, *, widths, reverse=False):
    """Apply `step` along time and stack what it puts out.

        carry, (a_t, b_t, ...) = step(carry, (x_t, y_t, ...))

    The loop itself is not meant to be differentiated: kernels call it inside
    `tf.custom_gradient`.

    Args:
        step: the function above; every output has shape `(batch, width)`.
        sequences: tuple of `(time, batch, ...)` tensors; an entry may be None and
            then reaches `step` as None.
        carry: tensor, or tuple of tensors, that one step hands to the next.
        widths: tuple of integers, the width of each output.
        reverse: walk from the last step to the first.

    Returns:
        `(carry, outputs)`: the last carry, and a tuple of `(time, batch, width)`
        tensors in the order of time, whichever way the loop walked.
    """
    length = sequences[0].shape[0] or tf.shape(sequences[0])[0]
    first = tf.nest.flatten(carry)[0]
    dtype, batch = first.dtype, first.shape[0]
    arrays = tuple(
        tf.TensorArray(dtype, size=length, element_shape=(batch, width))
        for width in widths
    )

    def body(count, carry, arrays):
        t = length - 1 - count if reverse else count
        slices = tuple(None if s is None else s[t] for s in sequences)
        carry, outputs = step(carry, slices)
        arrays = tuple(a.write(t, o) for a, o in zip(arrays, outputs, strict=True))
        return count + 1, carry, arrays

    _, carry, arrays = tf.while_loop(
        lambda count, *_: count < length, body, (0, carry, arrays)
    )
    return carry, tuple(a.stack() for a in arrays)


def clear_rows(reset, tensor):
    """Set the rows of `tensor` that `reset` flags to zeros; None flags no row.

    `where` and not a product: a row that holds NaN is clean afterwards.
    """
    if reset is None:
        return tensor
    return tf.where(reset[..., None], tf.zeros_like(tensor), tensor)


def hold_rows(mask, new, old):
    """Take `new` where `mask` is True and `old` elsewhere; None takes all of `new`."""
    return new if mask is None else tf.where(mask[..., None], new, old)


def previous(sequence, first, reset):
    """The state that each step started from: `sequence` one step late, resets done."""
    late = tf.concat([first[None], sequence[:-1]], axis=0)
    return clear_rows(reset, late)


def recurrent_gradient(h_prev, d_z):
    """Gradient of the recurrent kernel: the sum over steps of `h_prev^T d_z`.

    One product over all steps and rows; added up inside the loop it would cost
    about as much as all the rest of the backward pass.
    """
    rows = tf.reshape(h_prev, (-1, h_prev.shape[-1]))
    return tf.matmul(rows, tf.reshape(d_z, (-1, d_z.shape[-1])), transpose_a=True)


def only_once(gradients, arguments):
    """Hand on `gradients`, and refuse to be differentiated again.

    What a custom gradient saved in its forward pass is a constant to an outer tape:
    without this, second derivatives would come out wrong and nobody would know.
    """

    @tf.custom_gradient
    def hand_on(*tensors):
        def refuse(*_):
            raise NotImplementedError(
                "The fused recurrences have first derivatives only. For second ones "
                "use the Keras layer of the same name: it takes the same weights."
            )

        return tuple(tf.identity(t) for t in tensors[: len(gradients)]), refuse

    return hand_on(*gradients, *arguments)
