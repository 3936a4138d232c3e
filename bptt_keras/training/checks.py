"""What is looked at before training starts: arrays, datasets and their order."""

import types

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.data.ragged import RaggedBatches
from bptt_keras.training.assertions import require
from bptt_keras.training.parts import split_inputs
from bptt_keras.training.ragged import BATCH_SIZE
from bptt_keras.truncation import ARTBP

_IN_BATCHES = tf.data.Dataset | keras.utils.PyDataset | types.GeneratorType
# Values looked at in one go: a large array is checked without a copy of its size.
_CHUNK = 1 << 22


def check_data(x, y, model, *, shuffle):
    """Raises if the data that `fit` got cannot be trained on.

    Args:
        x: As for `fit`.
        y: As for `fit`.
        model: The inner model.
        shuffle: As for `fit`; `None` where the user said nothing.

    Raises:
        ValueError: NaN or infinity in `x` or `y`, ids outside an embedding's
            vocabulary, `x` and `y` of different lengths, `reset` of the wrong shape,
            or rows whose order matters that would be shuffled.
    """
    if isinstance(x, tf.data.Dataset):
        _check_order(x)
    if shuffle and isinstance(x, tf.data.Dataset | types.GeneratorType):
        raise ValueError(
            f"`shuffle=True` has no effect on a {type(x).__name__}. Shuffle the data "
            f"itself, or leave `shuffle` out."
        )
    if shuffle and order_is_fixed(x):
        raise ValueError(
            "Rows with `reset` continue one another, so their order must be kept. "
            "Received: shuffle=True. Leave `shuffle` out, or pass `shuffle=False`."
        )
    if isinstance(x, _IN_BATCHES):
        return
    parts = split_inputs(x)
    inputs, reset = parts.inputs, parts.reset
    arrays = [a for a in tf.nest.flatten(inputs) if _is_array(a)]
    for array in arrays:
        if len(array) == 0:
            raise ValueError("`x` must hold at least one row. Received: x with none.")
        _check_finite(array, "x")
    _check_vocabulary(arrays, model)
    for array in tf.nest.flatten(y):
        if not _is_array(array):
            continue
        _check_finite(array, "y")
        if arrays and len(array) != len(arrays[0]):
            raise ValueError(
                f"`x` and `y` must have the same number of rows. Received: x with "
                f"{len(arrays[0])} rows and y with {len(array)}."
            )
    if _is_array(reset) and arrays:
        _check_reset_shape(reset, arrays[0])


def rows_of_batches(x, batch_size):
    """Rows of the batches that Keras makes of the data.

    Args:
        x: As for `fit`.
        batch_size: As for `fit`.

    Returns:
        An integer, or `None` where the data come in batches.
    """
    return None if isinstance(x, _IN_BATCHES) else batch_size or BATCH_SIZE


def check_fit(x, y, class_weight, steps_per_epoch):
    """Raises if arguments of `fit` contradict what the data are.

    Args:
        x: As for `fit`.
        y: As for `fit`.
        class_weight: As for `fit`.
        steps_per_epoch: As for `fit`.

    Raises:
        ValueError: `class_weight` with targets that have a time axis, or
            `steps_per_epoch` with arrays whose rows continue one another.
    """
    if class_weight is not None and getattr(y, "ndim", 1) > 1:
        raise ValueError(
            "`class_weight` weighs rows, but these targets have a time axis. Give "
            "`sample_weight` of shape (rows, time) instead."
        )
    if steps_per_epoch is not None and isinstance(x, dict) and order_is_fixed(x):
        raise ValueError(
            "With `steps_per_epoch` arrays start again in the middle of an epoch, and "
            "their rows would continue the wrong ones. Leave it out, or pass a "
            "`tf.data.Dataset` that flags its own start, as "
            "`bptt_keras.data.streams` does."
        )


def order_is_fixed(x):
    """True if the order of the data must be kept or is the data's own affair.

    Rows continue one another where there is `reset`, `key` or `position`: in the
    arrays, or in the first batch of a `PyDataset`. Datasets, generators and
    `RaggedBatches` see to their order themselves.
    """
    if isinstance(x, tf.data.Dataset | types.GeneratorType | RaggedBatches):
        return True
    if isinstance(x, keras.utils.PyDataset):
        x = keras.utils.unpack_x_y_sample_weight(x[0])[0]
    if not isinstance(x, dict):
        return False
    parts = split_inputs(x)
    return parts.continues or parts.position is not None


def check_options(trainer, findings):
    """Raises if options of the trainer contradict what its model is.

    Args:
        trainer: A `TruncatedBPTT`.
        findings: `state.Findings` of its model.

    Raises:
        ValueError: Names the option.
    """
    schedule = trainer.truncation
    if not findings.sequence_output and schedule.lead:
        raise ValueError(
            f"With one loss at the end of a sequence there is one window a sequence. "
            f"Received: stride={schedule.stride}. Leave `stride` out."
        )
    stepwise = isinstance(schedule, ARTBP)
    if not stepwise and trainer._recomputation is None:
        return
    option = "window=ARTBP" if stepwise else "recompute"
    several = len(tf.nest.flatten(findings.outputs)) > 1
    if several and trainer.update != "window":
        raise ValueError(
            f"`{option}` averages several outputs together, but over several windows "
            f"each has an average of its own. Received: update={trainer.update!r}. "
            f"Use `update='window'`."
        )
    if findings.why_not_in_parts:
        raise ValueError(
            f"`{option}` runs a window in parts, and this model's result would depend "
            f"on them: {findings.why_not_in_parts}."
        )


def finite_inputs(batch):
    """The batch, with a check in the graph that its inputs are finite.

    Args:
        batch: A `Batch`.

    Returns:
        The same batch; using it fails if an input holds NaN or infinity.
    """
    floats = [t for t in [*batch.inputs, *batch.constants] if t.dtype.is_floating]
    if not floats:
        return batch
    finite = tf.reduce_all([tf.reduce_all(tf.math.is_finite(t)) for t in floats])
    check = require(finite, "`x` must be finite. Received: NaN or infinity in x.")
    with tf.control_dependencies([check]):
        return batch._replace(
            inputs=tf.nest.map_structure(tf.identity, batch.inputs),
        )


def same_lengths(batch, sequence_output):
    """The batch, with a check in the graph where tracing did not know its lengths.

    Args:
        batch: A `Batch`.
        sequence_output: True if targets have a time axis.

    Returns:
        The same batch; using it fails if targets, weights or flags have another
        number of rows or timesteps than the inputs.
    """
    first = batch.inputs[0]
    parts = {"reset": batch.reset, "y": batch.targets}
    found = []
    for name, part in parts.items():
        for tensor in [] if part is None else tf.nest.flatten(part):
            timed = tensor.shape.rank > 1 and (sequence_output or name == "reset")
            axes = 2 if timed else 1
            known = tensor.shape[:axes].as_list() + first.shape[:axes].as_list()
            if None in known:
                same = tf.equal(tf.shape(tensor)[:axes], tf.shape(first)[:axes])
                message = (
                    f"`{name}` must have the rows{' and timesteps' * timed} of `x`. "
                    f"Received: another number."
                )
                found.append(require(tf.reduce_all(same), message))
    if not found:
        return batch
    with tf.control_dependencies(found):
        return batch._replace(
            inputs=tf.nest.map_structure(tf.identity, batch.inputs),
            targets=None
            if batch.targets is None
            else tf.nest.map_structure(tf.identity, batch.targets),
            reset=None if batch.reset is None else tf.identity(batch.reset),
        )


def require_valid_window(result):
    """Checks in the graph on what a window's program found.

    Args:
        result: `programs.Window`.

    Returns:
        List of operations for `tf.control_dependencies`.
    """
    found = window_checks(result)
    return [require(valid, message) for message, valid in found.items()]


def window_checks(result):
    """What must hold before a window may change anything.

    Args:
        result: `programs.Window`.

    Returns:
        `{message: scalar boolean tensor}`.
    """
    labels = (
        "`y` must hold class labels from 0 to the number of the model's outputs minus "
        "1. Received: a label outside."
    )
    valid = tf.reduce_all([term.labels_valid for term in result.terms])
    return {**_id_checks(result.ids_valid), labels: valid}


def require_ids(ids_valid):
    """Checks in the graph that ids are in the range of their embeddings.

    Args:
        ids_valid: `{layer name: scalar boolean tensor}`.

    Returns:
        List of operations for `tf.control_dependencies`.
    """
    found = _id_checks(ids_valid)
    return [require(valid, message) for message, valid in found.items()]


def _id_checks(ids_valid):
    return {
        f"Ids must lie in the vocabulary of layer `{name}`, from 0 to `input_dim` - 1. "
        f"Received: an id outside.": valid
        for name, valid in ids_valid.items()
    }


def _is_array(value):
    return hasattr(value, "shape") and hasattr(value, "dtype") and len(value.shape) > 0


def _chunks(array):
    rows = max(1, _CHUNK // max(1, int(np.prod(array.shape[1:]))))
    for start in range(0, len(array), rows):
        yield np.asarray(array[start : start + rows])


def _check_finite(array, name):
    if "float" not in keras.backend.standardize_dtype(array.dtype):
        return
    for chunk in _chunks(array):
        if not np.isfinite(chunk).all():
            raise ValueError(
                f"`{name}` must be finite. Received: NaN or infinity in {name}. Fill "
                f"the gaps, and give them `sample_weight` 0 if they must not count."
            )


def _check_vocabulary(arrays, model):
    embedding = _first_embedding(model)
    if embedding is None or len(arrays) != 1:
        return
    for chunk in _chunks(arrays[0]):
        if chunk.size and (chunk.min() < 0 or chunk.max() >= embedding.input_dim):
            raise ValueError(
                f"Ids must lie in the vocabulary of layer {embedding.name!r}, from 0 "
                f"to {embedding.input_dim - 1}. Received: ids from {chunk.min()} to "
                f"{chunk.max()}."
            )


def _first_embedding(model):
    """The embedding that a Sequential model starts with, or `None`."""
    # `Sequential.layers` leaves its input layer out.
    is_sequential = isinstance(model, keras.Sequential) and model.layers
    first = model.layers[0] if is_sequential else None
    return first if isinstance(first, keras.layers.Embedding) else None


def _check_reset_shape(reset, array):
    shape = tuple(reset.shape)
    if shape not in (tuple(array.shape[:1]), tuple(array.shape[:2])):
        raise ValueError(
            f"`reset` must have the shape (batch,) or (batch, time). Received: reset "
            f"with shape {shape} beside inputs with shape {tuple(array.shape)}."
        )


def _check_order(dataset):
    """Raises if a stream was shuffled after it was made."""

    def is_stream(spec):
        return (
            isinstance(spec, tuple | list)
            and isinstance(spec[0], dict)
            and ("position" in spec[0])
        )

    while is_stream(dataset.element_spec):
        if "Shuffle" in type(dataset).__name__:
            raise ValueError(
                "A stream must keep its order: each batch continues the one before. "
                "Received: a stream that was shuffled. Remove `.shuffle(...)`."
            )
        sources = dataset._inputs()
        if len(sources) != 1:
            return
        dataset = sources[0]
