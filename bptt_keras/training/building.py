"""What is built from the shapes of the first batch: model, losses, metrics."""

import keras
import tensorflow as tf

from bptt_keras.keras_internals import all_layers


def build_model(model, inputs, batch, schedule):
    """Builds the inner model if it is not built, from the shape of a batch.

    Args:
        model: A `keras.Model`.
        inputs: `Inputs` of it.
        batch: `Batch` that it is called on.
        schedule: Schedule of windows, from `bptt_keras.truncation`.

    Raises:
        ValueError: If the model's `Input` fixes a length that windows don't have, or
            a batch size.
    """
    _check_fixed_sizes(model, batch.known_length, schedule)
    if not all(layer.built for layer in all_layers(model)):
        model(symbolic_inputs(inputs, batch))


def symbolic_inputs(inputs, batch):
    """Keras tensors like the inputs of a batch, with open rows and timesteps.

    Args:
        inputs: `Inputs` of the model.
        batch: `Batch`.
    """
    constants = [
        keras.KerasTensor([None, *tensor.shape[1:]], tensor.dtype.name)
        for tensor in batch.constants
    ]
    return inputs.join(symbolic(batch.inputs, batch.known_length), constants)


def symbolic(tree, length):
    """Keras tensors like those of a batch, with any number of rows and timesteps.

    Args:
        tree: Structure of tensors, or `None`.
        length: The batch's number of timesteps; an axis 1 of that size becomes open.
    """
    if tree is None:
        return None

    def open_sizes(tensor):
        shape = [None, *tensor.shape[1:]]
        if len(shape) > 1 and shape[1] == length:
            shape[1] = None
        return keras.KerasTensor(shape, tensor.dtype.name)

    return tf.nest.map_structure(open_sizes, tree)


def _check_fixed_sizes(model, length, schedule):
    if schedule.random:
        lengths = set()
    elif length is None:
        lengths = {schedule.window}
    else:
        lengths = {span.stop - span.start for span in schedule.spans(length)}
    declared = getattr(model, "inputs", None) or []
    has_open = any(len(t.shape) > 1 and t.shape[1] is None for t in declared)
    for tensor in declared:
        # Beside an input with an open axis a fixed one is no time: see `Inputs`.
        fixed = tensor.shape[1] if len(tensor.shape) > 1 and not has_open else None
        if fixed is not None and lengths != {fixed}:
            raise ValueError(
                f"The model's input has a fixed number of timesteps, {fixed}, and runs "
                f"on windows of {sorted(lengths) or 'random length'}. Build it with "
                f"`keras.Input((None, ...))`."
            )
        if tensor.shape[0] is not None:
            raise ValueError(
                f"The model's input has a fixed batch size, {tensor.shape[0]}. State "
                f"needs none here: build it with `keras.Input((None, ...))`."
            )
