"""Checks of the numbers in data: finite, valid lengths, ids in a vocabulary."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.data.finite import chunks, is_finite
from bptt_keras.keras_internals import all_layers
from bptt_keras.training.batches.parts import Parts
from bptt_keras.training.intake.expected import Expected
from bptt_keras.training.intake.shapes import named_leaves


def check_finite(
    expected: Expected, parts: Parts, first: Any, y: Any, sample_weight: Any
) -> None:
    """Raises if there is NaN or infinity at a place that counts.

    Args:
        expected: What the data must fit.
        parts: `Parts` of `x`.
        first: Array `(rows, time, ...)`, one of the inputs.
        y: As for `fit`.
        sample_weight: As for `fit`.

    Raises:
        ValueError: If so; names the argument.
    """
    valid = _valid(parts, first)
    weights = named_leaves("sample_weight", sample_weight)
    for name, leaf in named_leaves("x", parts.inputs):
        _require_finite(name, leaf, valid)
    for name, leaf in weights:
        _require_finite(name, leaf, valid)
    if any(_makes_mask(layer) for layer in all_layers(expected.model)):
        return  # Only the batch shows which targets count.
    by_name = dict(weights)
    for name, leaf in named_leaves("y", y):
        weight = by_name.get(name.replace("y", "sample_weight", 1))
        if weight is None and len(weights) == 1:
            weight = weights[0][1]
        counts = _counted(valid, weight, first)
        if expected.burn_in and expected.answers_at_each_step is not False:
            counts = _grid(counts, first)
            counts = counts & (np.arange(first.shape[1]) >= expected.burn_in)
        _require_finite(name, leaf, counts)


def _makes_mask(layer: keras.Layer) -> bool:
    masking = isinstance(layer, keras.layers.Masking)
    return masking or getattr(layer, "mask_zero", False)


def _valid(parts: Parts, first: Any) -> np.ndarray | None:
    """Booleans `(rows, time)`: valid timesteps by lengths or mask; `None` for all."""
    if parts.mask is not None and not isinstance(parts.mask, tf.RaggedTensor):
        return np.asarray(parts.mask).astype(bool)
    if parts.lengths is None:
        return None
    return np.arange(first.shape[1]) < np.asarray(parts.lengths)[:, None]


def _counted(valid: np.ndarray | None, weight: Any, first: Any) -> np.ndarray | None:
    """Booleans `(rows, time)`: valid steps whose weight is not 0; `None` for all."""
    if weight is None or isinstance(weight, tf.RaggedTensor):
        return valid
    counts = np.asarray(weight) != 0
    counts = counts.reshape(len(counts), -1)
    if counts.shape[1] == 1 and valid is None:
        return counts[:, 0]
    return counts if valid is None else counts & valid


def _grid(counts: np.ndarray | None, first: Any) -> np.ndarray:
    if counts is None:
        return np.ones(first.shape[:2], bool)
    return np.broadcast_to(counts.reshape(len(counts), -1), first.shape[:2])


def _require_finite(name: str, leaf: Any, counts: np.ndarray | None) -> None:
    leaf, counts = (leaf.flat_values, None) if _is_ragged(leaf) else (leaf, counts)
    if not is_finite(leaf, counts):
        raise ValueError(
            f"`{name}` must be finite. Received: NaN or infinity in {name}. Fill the "
            f"gaps, and give them `sample_weight` 0 if they must not count."
        )


def _is_ragged(leaf: Any) -> bool:
    return isinstance(leaf, tf.RaggedTensor)


def check_lengths(lengths: Any, steps: int) -> None:
    """Raises if a length is negative or exceeds the array.

    Args:
        lengths: Integers `(rows,)`, or `None`.
        steps: Timesteps of the array.

    Raises:
        ValueError: If so; names the smallest and the largest.
    """
    if lengths is None:
        return
    least, most = int(np.min(lengths)), int(np.max(lengths))
    if least < 0 or most > steps:
        raise ValueError(
            f"`lengths` must lie between 0 and the number of timesteps, {steps}. "
            f"Received: lengths from {least} to {most}."
        )


def check_vocabulary(arrays: Sequence[Any], model: keras.Model) -> None:
    """Raises if ids lie outside the vocabulary of the embedding that takes them.

    Args:
        arrays: The inputs, flat. They are checked only if a Sequential model takes them
            and starts with an embedding.
        model: The inner model.

    Raises:
        ValueError: If so; names the layer and the ids.
    """
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


def _first_embedding(model: keras.Model) -> keras.layers.Embedding | None:
    """The embedding that a Sequential model starts with, or `None`."""
    # `Sequential.layers` omits the input layer.
    is_sequential = isinstance(model, keras.Sequential) and model.layers
    first = model.layers[0] if is_sequential else None
    return first if isinstance(first, keras.layers.Embedding) else None
