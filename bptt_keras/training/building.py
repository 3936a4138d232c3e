"""The inner model, built from the shapes of the first batch and examined."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras
import tensorflow as tf

from bptt_keras.keras_internals import all_layers
from bptt_keras.state import ModelTraits, PureStep, check_by_running, discover
from bptt_keras.training.batches.batch import Batch
from bptt_keras.training.batches.inputs import Inputs
from bptt_keras.truncation.schedule import Schedule
from bptt_keras.types import Structure


class ExaminedModel(NamedTuple):
    """A model, and what its first batch revealed about it.

    Fields:
        step: The model as a pure step.
        inputs: Which of its inputs have a time axis.
        traits: How it behaves.
        unchecked: `None`, or why cutting it along time was not tried out.
    """

    step: PureStep
    inputs: Inputs
    traits: ModelTraits
    unchecked: str | None


def examine_model(model: keras.Model, inputs: Inputs, batch: Batch) -> ExaminedModel:
    """Finds out how a built model behaves.

    Args:
        model: A `keras.Model`.
        inputs: Which of its inputs have a time axis.
        batch: `Batch` that it is called on.

    Raises:
        ValueError: If the model cannot be cut along time.
    """
    step = PureStep(model)
    specs = tf.nest.map_structure(
        lambda t: tf.TensorSpec(t.shape, t.dtype),
        inputs.join(batch.inputs, batch.constants),
    )
    unchecked = check_by_running(step, specs)
    return ExaminedModel(step, inputs, discover(step, specs), unchecked)


def output_names(model: keras.Model) -> list[str] | None:
    """Names of the model's outputs, flat, or `None` if they have none.

    Args:
        model: A `keras.Model`.
    """
    return getattr(model, "output_names", None)


def check_one_replica() -> None:
    """Raises under a distribution strategy of several replicas."""
    if tf.distribute.get_strategy().num_replicas_in_sync > 1:
        raise ValueError(
            "TruncatedBPTT does not run under a distribution strategy. Create and fit "
            "it outside `strategy.scope()`; `bptt_keras.distribute` trains it in "
            "several processes."
        )


def build_model(
    model: keras.Model, inputs: Inputs, batch: Batch, schedule: Schedule
) -> None:
    """Builds the inner model if it is not built, from the shape of a batch.

    Args:
        model: A `keras.Model`.
        inputs: `Inputs` of the model.
        batch: `Batch` that it is called on.
        schedule: Schedule of windows, from `bptt_keras.truncation`.

    Raises:
        ValueError: If the model's `Input` fixes a batch size, or a length that windows
            do not have.
    """
    _check_fixed_sizes(model, batch.known_length, schedule)
    if not all(layer.built for layer in all_layers(model)):
        model(symbolic_inputs(inputs, batch))


def symbolic_inputs(inputs: Inputs, batch: Batch) -> Structure:
    """Keras tensors like the inputs of a batch, for any number of rows and timesteps.

    Args:
        inputs: `Inputs` of the model.
        batch: `Batch`.
    """
    constants = [
        keras.KerasTensor([None, *tensor.shape[1:]], tensor.dtype.name)
        for tensor in batch.constants
    ]
    return inputs.join(symbolic(batch.inputs, batch.known_length), constants)


def symbolic(tree: Structure, length: int | None) -> Structure:
    """Keras tensors like those of a batch, for any number of rows and timesteps.

    Args:
        tree: Structure of tensors, or `None`.
        length: The batch's number of timesteps; an axis 1 of that size becomes open.
    """
    if tree is None:
        return None

    def open_sizes(tensor: tf.Tensor) -> keras.KerasTensor:
        shape = [None, *tensor.shape[1:]]
        if len(shape) > 1 and shape[1] == length:
            shape[1] = None
        return keras.KerasTensor(shape, tensor.dtype.name)

    return tf.nest.map_structure(open_sizes, tree)


def _check_fixed_sizes(
    model: keras.Model, length: int | None, schedule: Schedule
) -> None:
    lengths: set[Any]
    if schedule.random:
        lengths = set()
    elif length is None:
        lengths = {schedule.window}
    else:
        lengths = {span.stop - span.start for span in schedule.spans(length)}
    declared = getattr(model, "inputs", None) or []
    has_open = any(len(t.shape) > 1 and t.shape[1] is None for t in declared)
    for tensor in declared:
        # If another input has an open time axis, a fixed one is not time: see `Inputs`.
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
