"""The data of one call of the trainer: arrays as they are, sequences in batches."""

from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.data.ragged import RaggedBatches, is_ragged
from bptt_keras.data.sequences import holds_objects, is_table
from bptt_keras.training.batches.parts import split_inputs
from bptt_keras.training.intake import checks, shapes
from bptt_keras.training.intake.containers import as_arrays, from_containers
from bptt_keras.training.intake.ragged_padding import holds_ragged, pad_batch


class Handed(NamedTuple):
    """What Keras gets.

    Fields:
        x: Arrays, or data that come in batches.
        y: Targets or `None`.
        sample_weight: Weights or `None`.
        sequences: True if `x` was a list of sequences, and is `RaggedBatches` now.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None
    sequences: bool = False


def take(trainer, x, y=None, sample_weight=None, *, batch_size=None, shuffle=False):
    """Data as Keras takes them.

    Args:
        trainer: A `TruncatedBPTT`.
        x: As for `fit`.
        y: As for `fit`.
        sample_weight: As for `fit`.
        batch_size: Sequences in a batch, or `None` for 32.
        shuffle: Whether sequences are drawn anew for each epoch.

    Returns:
        `Handed`. Sequences of one length beside arrays `(rows, time, ...)` become an
        array like them; other sequences become padded batches.

    Raises:
        TypeError: If something is not made of numbers.
        ValueError: If its shape does not fit.
    """
    if isinstance(x, checks.IN_BATCHES):
        return Handed(x, y, sample_weight)
    x, y, sample_weight = (from_containers(part) for part in (x, y, sample_weight))
    if not is_sequences(trainer.model, x):
        return _of_arrays(trainer, x, y, sample_weight)
    x = as_sequences(x)
    lengths = _lengths(x)
    beside = [a for tree in (y, sample_weight) for a in _leaves(tree)]
    arrays = [a for a in beside if len(getattr(a, "shape", ())) > 1]
    arrays = [a for a in arrays if not isinstance(a, tf.RaggedTensor)]
    if arrays and len(set(lengths)) == 1:
        x, y, *weights = _whole(x, y, sample_weight, lengths)
        return _of_arrays(trainer, x, y, *weights)
    checks.check_sequences(trainer, y, sample_weight, lengths)
    # A schedule without a window takes whole batches: any multiple of one will do.
    window = trainer.truncation.evaluation_window or max(lengths, default=1) or 1
    batches = RaggedBatches(
        x,
        y,
        batch_size=batch_size or checks.BATCH_SIZE,
        window=window,
        shuffle=shuffle,
        sample_weight=sample_weight,
    )
    shapes.check_shapes(trainer, batches.spec)
    return Handed(batches, sequences=True)


def take_batch(trainer, x, y=None, sample_weight=None):
    """One batch of `train_on_batch` and its like, as `(x, y, sample_weight)`."""
    taken = take(trainer, x, y, sample_weight, batch_size=_count(x))
    if taken.sequences:
        x, y, sample_weight = (*taken.x[0], None, None)[:3]
    else:
        x, y, sample_weight, _ = taken
        window = trainer.truncation.evaluation_window
        if holds_ragged((x, y, sample_weight)):
            data = (x, y, sample_weight)
            x, y, sample_weight = pad_batch(data, trainer.model, window)
        shapes.check_shapes(trainer, x, y, sample_weight)
    return x, y, sample_weight


def split_off(part, *lists):
    """The first and the last sequences of lists that belong together, as Keras does.

    Args:
        part: Part of the sequences at the end, 0 to 1.
        *lists: Lists, arrays, ragged tensors, dicts of these, or `None`.

    Returns:
        `(first, last)`, two tuples.

    Raises:
        ValueError: If one of them would be empty.
    """
    count = _count(lists[0])
    at = int(count * (1 - part))
    if not 0 < at < count:
        raise ValueError(
            f"`validation_split` must leave sequences on both sides. Received: "
            f"validation_split={part} for {count} sequences."
        )

    def cut(values, piece):
        if isinstance(values, dict):
            return {key: cut(value, piece) for key, value in values.items()}
        return None if values is None else values[piece]

    first, last = slice(None, at), slice(at, None)
    return tuple(tuple(cut(v, piece) for v in lists) for piece in (first, last))


def is_sequences(model, x):
    """True if `x` holds sequences of different lengths, not an array of them.

    Args:
        model: The inner model.
        x: As for `fit`.
    """
    declared = getattr(model, "inputs", None) or []
    rank = len(declared[0].shape) if len(declared) == 1 else None
    return is_ragged(x, max(len(declared), 1), rank=rank)


def as_sequences(x):
    """The sequences with an array for each that is nested lists or tuples."""
    if isinstance(x, tf.RaggedTensor):
        return x
    return [np.asarray(item) if is_table(item) else item for item in x]


def _of_arrays(trainer, x, y, sample_weight=None):
    inputs = shapes.number_of_inputs(trainer.model)
    outputs = shapes.number_of_outputs(trainer)
    parts = split_inputs(x)
    given = as_arrays(parts.inputs, parts=inputs)
    if parts.inputs is x:
        x = given
    else:
        x = {key: as_arrays(value) for key, value in x.items()} | {"inputs": given}
    first = next((a for a in _leaves(given) if getattr(a, "shape", ())), None)
    rows = None if first is None else first.shape[0]
    y, sample_weight = (
        as_arrays(part, parts=outputs, rows=rows) for part in (y, sample_weight)
    )
    return Handed(x, y, _completed(sample_weight, y, trainer.output_names, rows))


def _completed(weights, y, names, rows):
    """Weights in the structure of the targets, where some outputs have none.

    Keras wants them for all or for none.
    """
    if not isinstance(y, dict | list | tuple):
        return weights
    if isinstance(weights, dict):
        keys = list(y) if isinstance(y, dict) else names
        if keys is None or len(keys) != len(y) or set(weights) - set(keys):
            return weights
        given = [weights.get(key) for key in keys]
    elif isinstance(weights, list | tuple) and len(weights) == len(y):
        given = weights
    else:
        return weights
    known = [np.ones(rows, "float32") if part is None else part for part in given]
    return dict(zip(y, known, strict=True)) if isinstance(y, dict) else type(y)(known)


def _whole(x, y, sample_weight, lengths):
    """Arrays `(n, time, ...)` of sequences of one length and what is beside them."""
    batches = RaggedBatches(
        x,
        y,
        batch_size=len(lengths),
        window=lengths[0],
        shuffle=False,
        sample_weight=sample_weight,
    )
    x, *beside = batches[0]
    return x["inputs"], *beside


def _lengths(x):
    if isinstance(x, tf.RaggedTensor):
        return x.row_lengths().numpy().tolist()
    arrays = [_first(item) for item in x]
    return [len(array) for array in arrays if np.ndim(array)]


def _first(item):
    if isinstance(item, dict):
        return next(iter(item.values()), None)
    return item[0] if isinstance(item, tuple) and item else item


def _count(x):
    """Number of rows of sequences, or `None` of anything else."""
    if isinstance(x, tf.RaggedTensor):
        return int(x.nrows())
    listed = isinstance(x, list | tuple) or holds_objects(x)
    return max(len(x), 1) if listed else None


def _leaves(tree):
    return [] if tree is None else keras.tree.flatten(tree)
