"""What is looked at before training starts: arrays, datasets and their order."""

import types

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.data.finite import chunks, is_finite
from bptt_keras.data.ragged import RaggedBatches
from bptt_keras.data.sequences import holds_objects
from bptt_keras.training.assertions import require
from bptt_keras.training.batches.parts import split_inputs
from bptt_keras.training.batches.shapes import (
    answers_at_each_step,
    check_shapes,
    named_leaves,
    timed_leaf,
)

IN_BATCHES = tf.data.Dataset | keras.utils.PyDataset | types.GeneratorType
BATCH_SIZE = 32  # Keras' own default


def check_data(trainer, x, y=None, sample_weight=None, *, shuffle=None):
    """Raises if data cannot be trained, evaluated or predicted on.

    Args:
        trainer: A `TruncatedBPTT`.
        x: As for `fit`.
        y: As for `fit`.
        sample_weight: As for `fit`.
        shuffle: As for `fit`; `None` where the user said nothing.

    Raises:
        TypeError: If something does not consist of numbers.
        ValueError: Shapes that do not fit the model or one another; NaN or infinity in
            `x`, `y` or weights where they count, ids outside an embedding's vocabulary,
            or rows whose order matters that would be shuffled.
    """
    if isinstance(x, tf.data.Dataset):
        _check_order(x)
        spec = keras.utils.unpack_x_y_sample_weight(x.element_spec)
        check_shapes(trainer, *spec)
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
    if isinstance(x, IN_BATCHES):
        return
    check_shapes(trainer, x, y, sample_weight)
    parts = split_inputs(x)
    arrays = [leaf for _, leaf in named_leaves("x", parts.inputs)]
    first = timed_leaf(trainer.model, parts.inputs)
    _check_lengths(parts.lengths, first.shape[1])
    check_values(trainer, parts, first, y, sample_weight)
    if not any(isinstance(array, tf.RaggedTensor) for array in arrays):
        _check_vocabulary(arrays, trainer.model)


def check_sequences(trainer, y, sample_weight, lengths):
    """Raises if arrays beside sequences would need to know their lengths.

    Args:
        trainer: A `TruncatedBPTT`.
        y: Targets beside a list of sequences.
        sample_weight: Weights beside them.
        lengths: Timesteps of the sequences, which differ.

    Raises:
        ValueError: If targets or weights of each timestep are one array.
    """
    if not answers_at_each_step(trainer):
        return
    for name, tree in {"y": y, "sample_weight": sample_weight}.items():
        for array in tree.values() if isinstance(tree, dict) else [tree]:
            shape = tuple(getattr(array, "shape", ()))
            weighs_rows = name == "sample_weight" and shape[1:] in ((), (1,))
            listed = isinstance(array, tf.RaggedTensor) or holds_objects(array)
            if shape and not weighs_rows and not listed:
                raise ValueError(
                    f"`{name}` must be a list of one array for each sequence, with a "
                    f"value for each of its timesteps. Received: one array of shape "
                    f"{shape} beside sequences of {min(lengths)} to {max(lengths)} "
                    f"timesteps. Cut its rows: [row[:n] for row, n in zip({name}, "
                    f"lengths)]."
                )


def rows_of_batches(x, batch_size):
    """Numbers of rows of the batches that Keras makes of the data.

    Args:
        x: As for `fit`.
        batch_size: As for `fit`, or `None`: all rows.

    Returns:
        List of integers: of full batches, and of a smaller last one; empty where the
        data come in batches.
    """
    if isinstance(x, IN_BATCHES):
        return []
    rows = keras.tree.flatten(x)[0].shape[0]
    full = rows if batch_size is None else min(batch_size, rows)
    return [full, rows % full] if rows % full else [full]


def check_fit(trainer, x, y, *, class_weight=None, steps_per_epoch=None):
    """Raises if arguments of `fit` contradict what the data are.

    Args:
        trainer: A `TruncatedBPTT`.
        x: As for `fit`.
        y: As for `fit`.
        class_weight: As for `fit`.
        steps_per_epoch: As for `fit`.

    Raises:
        ValueError: `class_weight` with targets that have a time axis, or
            `steps_per_epoch` with arrays whose rows continue one another.
    """
    # Keras fails on such targets before a batch knows what they are.
    timed = answers_at_each_step(trainer)
    if class_weight is not None and (timed or len(getattr(y, "shape", ())) > 2):
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


# What Keras calls of a model that it trains, and `TruncatedBPTT` has of its own.
_STEPS = ("train_step", "test_step", "predict_step", "compute_loss", "compute_metrics")


def check_overrides(trainer, model):
    """Raises if a method that was overridden would never be called.

    Args:
        trainer: A `TruncatedBPTT`.
        model: The inner model.

    Raises:
        ValueError: Names the methods.
    """
    own = [
        name
        for name in _STEPS
        if getattr(type(model), name) is not getattr(keras.Model, name)
    ]
    if own:
        raise ValueError(
            f"The trainer's windows take the place of the model's own steps, so what "
            f"model {model.name!r} ({type(model).__name__}) overrides would not run. "
            f"Received: a model with {', '.join(f'`{name}`' for name in own)} of its "
            f"own. Leave that out: give `compile` losses and metrics, let layers call "
            f"`add_loss`, or override `train_step` and the like in a subclass of "
            f"`TruncatedBPTT`."
        )
    if type(trainer).compute_loss is not keras.Model.compute_loss:
        raise ValueError(
            f"`TruncatedBPTT` averages losses over windows by itself, so "
            f"`compute_loss` of {type(trainer).__name__} would not run. Leave it out: "
            f"give `compile` a loss, or let layers call `add_loss`."
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
    stepwise = schedule.stepwise
    if not stepwise and trainer._recomputation is None:
        return
    option = f"window={type(schedule).__name__}" if stepwise else "recompute"
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


def same_lengths(batch, sequence_output):
    """The batch, with a check in the graph where tracing did not know its lengths.

    Args:
        batch: A `Batch` from `fit_targets`, or one without targets.
        sequence_output: True if targets have a time axis.

    Returns:
        The same batch; using it fails if targets, weights or flags have another
        number of rows or timesteps than the inputs.
    """
    first = batch.inputs[0]
    parts = {
        "reset": (batch.reset, True),
        "y": (batch.targets, sequence_output),
        "sample_weight": (batch.weights, sequence_output),
    }
    found = []
    for name, (part, may_have_time) in parts.items():
        for tensor in tf.nest.flatten(part):
            if tensor is None:
                continue
            one_a_row = tensor.shape.rank == 1 or (
                name == "sample_weight" and tensor.shape[1] == 1
            )
            timed = may_have_time and not one_a_row
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
        # What is made of the parts is made from the sizes of the inputs.
        return batch._replace(
            inputs=tf.nest.map_structure(tf.identity, batch.inputs),
            **{
                name: tf.nest.map_structure(
                    lambda t: None if t is None else tf.identity(t), part
                )
                for name, part in batch._asdict().items()
                if name in ("targets", "weights", "reset")
            },
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


def check_values(trainer, parts, first, y, sample_weight):
    """Raises if NaN or infinity is where it counts.

    Args:
        trainer: A `TruncatedBPTT`.
        parts: `Parts` of `x`.
        first: Array `(rows, time, ...)`, an input.
        y: As for `fit`.
        sample_weight: As for `fit`.

    Raises:
        ValueError: Names the argument.
    """
    valid = _valid(parts, first)
    weights = named_leaves("sample_weight", sample_weight)
    for name, leaf in named_leaves("x", parts.inputs):
        _require_finite(name, leaf, valid)
    for name, leaf in weights:
        _require_finite(name, leaf, valid)
    if any(_makes_mask(layer) for layer in trainer.model._flatten_layers()):
        return  # Only the batch knows which of the targets count.
    by_name = dict(weights)
    for name, leaf in named_leaves("y", y):
        weight = by_name.get(name.replace("y", "sample_weight", 1))
        if weight is None and len(weights) == 1:
            weight = weights[0][1]
        counts = _counted(valid, weight, first)
        if trainer.burn_in and answers_at_each_step(trainer) is not False:
            counts = _grid(counts, first)
            counts = counts & (np.arange(first.shape[1]) >= trainer.burn_in)
        _require_finite(name, leaf, counts)


def _makes_mask(layer):
    masking = isinstance(layer, keras.layers.Masking)
    return masking or getattr(layer, "mask_zero", False)


def _valid(parts, first):
    """Booleans `(rows, time)`: what lengths or mask call valid; `None` for all."""
    if parts.mask is not None and not isinstance(parts.mask, tf.RaggedTensor):
        return np.asarray(parts.mask).astype(bool)
    if parts.lengths is None:
        return None
    return np.arange(first.shape[1]) < np.asarray(parts.lengths)[:, None]


def _counted(valid, weight, first):
    """Booleans `(rows, time)`: valid steps whose weight is not 0; `None` for all."""
    if weight is None or isinstance(weight, tf.RaggedTensor):
        return valid
    counts = np.asarray(weight) != 0
    counts = counts.reshape(len(counts), -1)
    if counts.shape[1] == 1 and valid is None:
        return counts[:, 0]
    return counts if valid is None else counts & valid


def _grid(counts, first):
    if counts is None:
        return np.ones(first.shape[:2], bool)
    return np.broadcast_to(counts.reshape(len(counts), -1), first.shape[:2])


def _require_finite(name, leaf, counts):
    leaf, counts = (leaf.flat_values, None) if _is_ragged(leaf) else (leaf, counts)
    if not is_finite(leaf, counts):
        raise ValueError(
            f"`{name}` must be finite. Received: NaN or infinity in {name}. Fill the "
            f"gaps, and give them `sample_weight` 0 if they must not count."
        )


def _is_ragged(leaf):
    return isinstance(leaf, tf.RaggedTensor)


def _check_lengths(lengths, steps):
    if lengths is None:
        return
    least, most = int(np.min(lengths)), int(np.max(lengths))
    if least < 0 or most > steps:
        raise ValueError(
            f"`lengths` must lie between 0 and the number of timesteps, {steps}. "
            f"Received: lengths from {least} to {most}."
        )


def _check_vocabulary(arrays, model):
    embedding = _first_embedding(model)
    if embedding is None or len(arrays) != 1:
        return
    for chunk in chunks(arrays[0]):
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
