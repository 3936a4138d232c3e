"""Which inputs of a model have a time axis."""

from __future__ import annotations

import keras
import tensorflow as tf

from bptt_keras.keras_internals import declared_inputs
from bptt_keras.types import Structure


def timed_inputs(model: keras.Model, inputs: Structure) -> Structure:
    """Distinguishes the inputs that are cut along time from those that are not.

    A Functional model declares this itself. If any `keras.Input` leaves axis 1 open, as
    `keras.Input((None, 3))` does, that axis is time, and an input with a fixed axis 1,
    such as `keras.Input((8,))`, has no time axis: it is the same at every step. If no
    input leaves it open, and in Sequential and subclassed models, axis 1 of every
    input is time. An input of rank 1, `(batch,)`, never has a time axis.

    Args:
        model: A `keras.Model`.
        inputs: Structure of tensors, or of `tf.TensorSpec`, that the model takes.

    Returns:
        Structure like `inputs` of booleans, True where axis 1 is time.

    Raises:
        ValueError: If no input has a time axis.

    Example:
        from bptt_keras.state import timed_inputs

        sequence, speaker = keras.Input((None, 3)), keras.Input((8,))
        hidden = keras.layers.GRU(4)(sequence)
        other = keras.layers.Dense(2)(speaker)
        model = keras.Model([sequence, speaker], [hidden, other])
        x = [np.zeros((2, 10, 3)), np.zeros((2, 8))]
        assert timed_inputs(model, x) == [True, False]
    """
    flat = tf.nest.flatten(inputs)
    declared = declared_shapes(model, inputs)
    is_open = [shape is not None and shape[1:2] == (None,) for shape in declared]
    timed = [
        len(tensor.shape) > 1 and (shape is None or said or not any(is_open))
        for tensor, shape, said in zip(flat, declared, is_open, strict=True)
    ]
    if not any(timed):
        raise ValueError(
            f"A model needs an input with a time axis, (batch, time, ...). Received: "
            f"model {model.name!r} with inputs of shapes "
            f"{[tuple(tensor.shape) for tensor in flat]}. One long series becomes "
            f"batches with `bptt_keras.data.streams`."
        )
    return tf.nest.pack_sequence_as(inputs, timed)


def with_sizes(
    model: keras.Model, specs: Structure, *, rows: int, length: int
) -> Structure:
    """`tf.TensorSpec` of a model's inputs with given numbers of rows and timesteps."""

    def sized(spec, timed):
        shape = [rows, *spec.shape[1:]]
        if timed:
            shape[1] = length
        return tf.TensorSpec(shape, spec.dtype)

    return tf.nest.map_structure(sized, specs, timed_inputs(model, specs))


def declared_shapes(
    model: keras.Model, inputs: Structure
) -> list[tuple[int | None, ...] | None]:
    """Shape of the `keras.Input` behind each flat input; `None` where unknown."""
    flat = tf.nest.flatten(inputs)
    declared = getattr(model, "inputs", None) or []
    if isinstance(inputs, dict) and not isinstance(declared_inputs(model), dict):
        # Keras finds them by the name of the `keras.Input` and ignores the others.
        named = {tensor.name: tensor.shape for tensor in declared}
        return [named.get(key) for key in sorted(inputs)]
    if len(flat) != len(declared):
        return [None] * len(flat)
    return [tensor.shape for tensor in declared]
