"""How data come in batches, and whether their order must be kept."""

from __future__ import annotations

import types
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.data.ragged import RaggedBatches
from bptt_keras.tensorflow_internals import shuffles, sources_of
from bptt_keras.training.batches.parts import split_inputs

IN_BATCHES = tf.data.Dataset | keras.utils.PyDataset | types.GeneratorType
BATCH_SIZE = 32  # Keras' own default


def rows_of_batches(x: Any, batch_size: int | None) -> list[int]:
    """Numbers of rows of the batches that Keras makes from data.

    Args:
        x: As for `fit`.
        batch_size: As for `fit`, or `None`: all rows.

    Returns:
        List of integers: rows of full batches, then of a smaller last one if there is
        one; empty if the data already come in batches.
    """
    if isinstance(x, IN_BATCHES):
        return []
    rows = keras.tree.flatten(x)[0].shape[0]
    full = rows if batch_size is None else min(batch_size, rows)
    return [full, rows % full] if rows % full else [full]


def order_is_fixed(x: Any) -> bool:
    """Whether the order of data must be kept, or is decided by the data themselves.

    Rows continue one another if there is `reset`, `key` or `position`: in the arrays,
    or in the first batch of a `PyDataset`. Datasets, generators and `RaggedBatches`
    decide on their order themselves.

    Args:
        x: As for `fit`.
    """
    if isinstance(x, tf.data.Dataset | types.GeneratorType | RaggedBatches):
        return True
    if isinstance(x, keras.utils.PyDataset):
        x = keras.utils.unpack_x_y_sample_weight(x[0])[0]
    if not isinstance(x, dict):
        return False
    parts = split_inputs(x)
    return parts.continues or parts.position is not None


def check_order(dataset: tf.data.Dataset) -> None:
    """Raises if a stream was shuffled after it was made.

    Args:
        dataset: `tf.data.Dataset`.

    Raises:
        ValueError: If it was.
    """

    def is_stream(spec: Any) -> bool:
        return (
            isinstance(spec, tuple | list)
            and isinstance(spec[0], dict)
            and ("position" in spec[0])
        )

    while is_stream(dataset.element_spec):
        if shuffles(dataset):
            raise ValueError(
                "A stream must keep its order: each batch continues the one before. "
                "Received: a stream that was shuffled. Remove `.shuffle(...)`."
            )
        sources = sources_of(dataset)
        if len(sources) != 1:
            return
        dataset = sources[0]
