"""Outputs for sequences of different lengths, each as long as its sequence."""

from __future__ import annotations

import itertools
import types
from collections.abc import Iterable
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.data.ragged import RaggedBatches
from bptt_keras.data.unpad import unpad
from bptt_keras.training.intake.ragged_padding import holds_ragged, pad_batch


def has_ragged_batches(x: Any) -> bool:
    """Whether a dataset or `PyDataset` yields batches with ragged tensors."""
    if isinstance(x, tf.data.Dataset):
        return holds_ragged(_inputs_of(x.element_spec))
    if isinstance(x, keras.utils.PyDataset) and not isinstance(x, RaggedBatches):
        return holds_ragged(_inputs_of(x[0]))
    return False


def peeked(x: Any) -> tuple[Any, Any]:
    """Looks at the first batch to see whether batches are ragged.

    Args:
        x: Anything that `predict` takes.

    Returns:
        `(batches, x)`: an iterable of ragged batches, or `None` and the data to use
        instead.
    """
    if not isinstance(x, types.GeneratorType):
        return (x if has_ragged_batches(x) else None), x
    first = list(itertools.islice(x, 1))

    def again() -> Iterable[Any]:
        yield from first
        yield from x

    ragged = bool(first) and holds_ragged(_inputs_of(first[0]))
    return (again() if ragged else None), again()


def predicted(
    trainer: Any,
    batches: Any,
    verbose: Any,
    *,
    steps: int | None = None,
    **others: Any,
) -> Any:
    """The outputs for each sequence, in order.

    Args:
        trainer: A `TruncatedBPTT`.
        batches: `RaggedBatches` without targets and without shuffling, or any other
            batches with ragged tensors.
        verbose: As for `predict`.
        steps: Number of batches, or `None` for all.
        **others: Other arguments of `predict`, which are refused.

    Returns:
        List of arrays `(time, ...)`, or an array `(n, ...)` if the model has one output
        per sequence. For several outputs, a structure of these.

    Raises:
        ValueError: If there are other arguments, or no batches.
    """
    if others or (steps is not None and isinstance(batches, RaggedBatches)):
        raise ValueError(
            f"Sequences of different lengths are predicted batch by batch, without "
            f"{sorted(others) or ['steps']}. Leave them out, or predict on "
            f"`bptt_keras.data.RaggedBatches`."
        )
    count = _number_of(batches) if steps is None else steps
    bar = keras.utils.Progbar(count, verbose=1 if verbose == "auto" else verbose)
    window = trainer.truncation.evaluation_window
    found = []
    for index, batch in enumerate(itertools.islice(_all_of(batches), count)):
        x = _inputs_of(batch)
        if holds_ragged(x):
            (x,) = pad_batch((x,), trainer.model, window)
        outputs = trainer.predict_on_batch(x)
        if trainer.answers_at_each_step:
            outputs = unpad(outputs, x["lengths"])
        found.append(outputs)
        bar.update(index + 1)
    if not found:
        raise ValueError("`predict` needs at least one batch. Received: none.")
    if trainer.answers_at_each_step:
        return _joined_lists(found)
    return keras.tree.map_structure(lambda *parts: _concatenated(parts), *found)


def _inputs_of(batch: Any) -> Any:
    return keras.utils.unpack_x_y_sample_weight(batch)[0]


def _number_of(batches: Any) -> int | None:
    if isinstance(batches, tf.data.Dataset):
        count = int(batches.cardinality())
        if count == tf.data.INFINITE_CARDINALITY:
            raise ValueError(
                "`predict` needs `steps` for a dataset without an end. Received: None."
            )
        return None if count < 0 else count
    if isinstance(batches, keras.utils.PyDataset):
        return batches.num_batches
    return None


def _all_of(batches: Any) -> Iterable[Any]:
    if isinstance(batches, keras.utils.PyDataset):
        return (batches[index] for index in itertools.count())
    return batches


def _joined_lists(found: list[Any]) -> Any:
    first = found[0]
    if isinstance(first, dict):
        return {name: _joined_lists([part[name] for part in found]) for name in first}
    if isinstance(first, tuple) or (first and isinstance(first[0], list)):
        return type(first)(
            _joined_lists(list(parts)) for parts in zip(*found, strict=True)
        )
    return [sequence for part in found for sequence in part]


def _concatenated(parts: tuple[Any, ...]) -> Any:
    return tf.concat(parts, axis=0).numpy()
