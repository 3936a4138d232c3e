"""Converts data to what Keras takes: arrays, or sequences in padded batches."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.data.ragged import RaggedBatches, is_ragged
from bptt_keras.data.sequences import holds_objects, is_table
from bptt_keras.training.batches.parts import split_inputs
from bptt_keras.training.intake.checks import check_beside_sequences
from bptt_keras.training.intake.containers import as_arrays, from_containers
from bptt_keras.training.intake.expected import Expected
from bptt_keras.training.intake.order import BATCH_SIZE, IN_BATCHES
from bptt_keras.training.intake.ragged_padding import holds_ragged, pad_batch
from bptt_keras.training.intake.shapes import check_shapes


class Taken(NamedTuple):
    """Data in the form that is passed to Keras.

    Fields:
        x: Arrays, or data that come in batches.
        y: Targets or `None`.
        sample_weight: Weights or `None`.
        sequences: True if `x` was a list of sequences and is now `RaggedBatches`.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None
    sequences: bool = False


def take(
    expected: Expected,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    batch_size: int | None = None,
    shuffle: bool = False,
) -> Taken:
    """Converts data to what Keras takes.

    Args:
        expected: What the data must fit.
        x: As for `fit`.
        y: As for `fit`.
        sample_weight: As for `fit`.
        batch_size: Sequences in a batch, or `None` for 32.
        shuffle: Whether sequences are shuffled again for each epoch.

    Returns:
        `Taken`. Sequences of equal length with targets or weights `(rows, time, ...)`
        become one array; other sequences become padded batches.

    Raises:
        TypeError: If something is not made of numbers.
        ValueError: If a shape does not fit.
    """
    if isinstance(x, IN_BATCHES):
        return Taken(x, y, sample_weight)
    x, y, sample_weight = (from_containers(part) for part in (x, y, sample_weight))
    if not is_sequences(expected.model, x):
        return _of_arrays(expected, x, y, sample_weight)
    x = as_sequences(x)
    lengths = _lengths(x)
    beside = [a for tree in (y, sample_weight) for a in _leaves(tree)]
    arrays = [a for a in beside if len(getattr(a, "shape", ())) > 1]
    arrays = [a for a in arrays if not isinstance(a, tf.RaggedTensor)]
    if arrays and len(set(lengths)) == 1:
        x, y, *weights = _whole(x, y, sample_weight, lengths)
        return _of_arrays(expected, x, y, *weights)
    check_beside_sequences(expected, y, sample_weight, lengths)
    # A schedule without a window takes whole batches, so any length will do.
    window = expected.window or max(lengths, default=1) or 1
    batches = RaggedBatches(
        x,
        y,
        batch_size=batch_size or BATCH_SIZE,
        window=window,
        shuffle=shuffle,
        sample_weight=sample_weight,
    )
    check_shapes(expected, batches.spec)
    return Taken(batches, sequences=True)


def take_batch(
    expected: Expected, x: Any, y: Any = None, sample_weight: Any = None
) -> tuple[Any, Any, Any]:
    """Converts one batch, for `train_on_batch` and similar methods.

    Args:
        expected: What the batch must fit.
        x: As for `train_on_batch`.
        y: As for `train_on_batch`.
        sample_weight: As for `train_on_batch`.

    Returns:
        `(x, y, sample_weight)`, padded if ragged.
    """
    taken = take(expected, x, y, sample_weight, batch_size=_count(x))
    if taken.sequences:
        x, y, sample_weight = (*taken.x[0], None, None)[:3]
    else:
        x, y, sample_weight, _ = taken
        window = expected.window
        if holds_ragged((x, y, sample_weight)):
            data = (x, y, sample_weight)
            x, y, sample_weight = pad_batch(data, expected.model, window)
        check_shapes(expected, x, y, sample_weight)
    return x, y, sample_weight


def split_off(fraction: float, *lists: Any) -> tuple[tuple[Any, ...], ...]:
    """Splits lists that belong together into first and last sequences, as Keras does.

    Args:
        fraction: Fraction of the sequences in the last part, 0 to 1.
        *lists: Lists, arrays, ragged tensors, dicts of these, or `None`.

    Returns:
        `(first, last)`, two tuples.

    Raises:
        ValueError: If one of them would be empty.
    """
    count = _count(lists[0]) or 0
    at = int(count * (1 - fraction))
    if not 0 < at < count:
        raise ValueError(
            f"`validation_split` must leave sequences on both sides. Received: "
            f"validation_split={fraction} for {count} sequences."
        )

    def cut(values: Any, piece: slice) -> Any:
        if isinstance(values, dict):
            return {key: cut(value, piece) for key, value in values.items()}
        return None if values is None else values[piece]

    first, last = slice(None, at), slice(at, None)
    return tuple(tuple(cut(v, piece) for v in lists) for piece in (first, last))


def is_sequences(model: keras.Model, x: Any) -> bool:
    """Whether `x` is a list of sequences or a ragged tensor, and not one array.

    Args:
        model: The inner model.
        x: As for `fit`.
    """
    declared = getattr(model, "inputs", None) or []
    rank = len(declared[0].shape) if len(declared) == 1 else None
    return is_ragged(x, max(len(declared), 1), rank=rank)


def as_sequences(x: Any) -> Any:
    """The sequences, with nested lists and tuples converted to arrays."""
    if isinstance(x, tf.RaggedTensor):
        return x
    return [np.asarray(item) if is_table(item) else item for item in x]


def _of_arrays(expected: Expected, x: Any, y: Any, sample_weight: Any = None) -> Taken:
    parts = split_inputs(x)
    given = as_arrays(parts.inputs, count=expected.number_of_inputs)
    if parts.inputs is x:
        x = given
    else:
        x = {key: as_arrays(value) for key, value in x.items()} | {"inputs": given}
    first = next((a for a in _leaves(given) if getattr(a, "shape", ())), None)
    rows = None if first is None else first.shape[0]
    y, sample_weight = (
        as_arrays(part, count=expected.number_of_outputs, rows=rows)
        for part in (y, sample_weight)
    )
    return Taken(x, y, _completed(sample_weight, y, expected.output_names, rows))


def _completed(
    weights: Any, y: Any, names: Sequence[str] | None, rows: int | None
) -> Any:
    """Weights in the structure of the targets, with ones for outputs without any.

    Keras requires weights for all outputs or for none.
    """
    if not isinstance(y, dict | list | tuple):
        return weights
    given: Sequence[Any]
    if isinstance(weights, dict):
        keys = list(y) if isinstance(y, dict) else names
        if keys is None or len(keys) != len(y) or set(weights) - set(keys):
            return weights
        given = [weights.get(key) for key in keys]
    elif isinstance(weights, list | tuple) and len(weights) == len(y):
        given = weights
    else:
        return weights
    ones = np.ones(() if rows is None else rows, "float32")
    known = [ones if part is None else part for part in given]
    return dict(zip(y, known, strict=True)) if isinstance(y, dict) else type(y)(known)


def _whole(x: Any, y: Any, sample_weight: Any, lengths: list[int]) -> tuple[Any, ...]:
    """Arrays `(n, time, ...)` of equally long sequences, their targets and weights."""
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


def _lengths(x: Any) -> list[int]:
    if isinstance(x, tf.RaggedTensor):
        return x.row_lengths().numpy().tolist()
    arrays = [_first(item) for item in x]
    return [len(array) for array in arrays if np.ndim(array)]


def _first(item: Any) -> Any:
    if isinstance(item, dict):
        return next(iter(item.values()), None)
    return item[0] if isinstance(item, tuple) and item else item


def _count(x: Any) -> int | None:
    """Number of sequences, or `None` for anything else."""
    if isinstance(x, tf.RaggedTensor):
        return int(x.nrows())
    listed = isinstance(x, list | tuple) or holds_objects(x)
    return max(len(x), 1) if listed else None


def _leaves(tree: Any) -> list[Any]:
    return [] if tree is None else keras.tree.flatten(tree)
