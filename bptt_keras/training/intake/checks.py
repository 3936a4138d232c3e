"""Checks, before anything runs, that data suit training, evaluation or prediction."""

from __future__ import annotations

import types
from collections.abc import Sequence
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.data.sequences import holds_objects
from bptt_keras.training.batches.parts import split_inputs
from bptt_keras.training.intake.expected import Expected
from bptt_keras.training.intake.order import IN_BATCHES, check_order, order_is_fixed
from bptt_keras.training.intake.shapes import check_shapes, named_leaves, timed_leaf
from bptt_keras.training.intake.values import (
    check_finite,
    check_lengths,
    check_vocabulary,
)


def check_data(
    expected: Expected,
    x: Any,
    y: Any = None,
    sample_weight: Any = None,
    *,
    shuffle: bool | None = None,
) -> None:
    """Raises if data cannot be trained, evaluated or predicted on.

    Args:
        expected: What the data must fit.
        x: As for `fit`.
        y: As for `fit`.
        sample_weight: As for `fit`.
        shuffle: As for `fit`; `None` if the user did not pass it.

    Raises:
        TypeError: If something does not consist of numbers.
        ValueError: For shapes that do not fit the model or one another, NaN or infinity
            in `x`, `y` or weights where they count, ids outside an embedding's
            vocabulary, or shuffling of rows whose order matters.
    """
    if isinstance(x, tf.data.Dataset):
        check_order(x)
        spec = keras.utils.unpack_x_y_sample_weight(x.element_spec)
        check_shapes(expected, *spec)
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
    check_shapes(expected, x, y, sample_weight)
    parts = split_inputs(x)
    arrays = [leaf for _, leaf in named_leaves("x", parts.inputs)]
    first = timed_leaf(expected.model, parts.inputs)
    check_lengths(parts.lengths, first.shape[1])
    check_finite(expected, parts, first, y, sample_weight)
    if not any(isinstance(array, tf.RaggedTensor) for array in arrays):
        check_vocabulary(arrays, expected.model)


def check_beside_sequences(
    expected: Expected, y: Any, sample_weight: Any, lengths: Sequence[int]
) -> None:
    """Raises if targets or weights of sequences have to be lists, and are not.

    Args:
        expected: What the data must fit.
        y: Targets of a list of sequences.
        sample_weight: Their weights.
        lengths: Timesteps of the sequences, which differ.

    Raises:
        ValueError: If targets or weights for each timestep are one array.
    """
    if not expected.answers_at_each_step:
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


def check_fit(
    expected: Expected,
    x: Any,
    y: Any,
    *,
    class_weight: Any = None,
    steps_per_epoch: int | None = None,
) -> None:
    """Raises if arguments of `fit` do not suit the data.

    Args:
        expected: What the data must fit.
        x: As for `fit`.
        y: As for `fit`.
        class_weight: As for `fit`.
        steps_per_epoch: As for `fit`.

    Raises:
        ValueError: For `class_weight` with targets that have a time axis, or
            `steps_per_epoch` with arrays whose rows continue one another.
    """
    # Keras would fail on such targets before a batch could tell what they are.
    timed = expected.answers_at_each_step
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
