"""The data of one call of `fit` or `evaluate`, as passed on to Keras."""

from __future__ import annotations

from typing import Any, NamedTuple

import keras

from bptt_keras.training.intake.checks import check_data, check_fit
from bptt_keras.training.intake.expected import Expected
from bptt_keras.training.intake.order import order_is_fixed
from bptt_keras.training.intake.taking import is_sequences, split_off, take


class EvaluationData(NamedTuple):
    """Arguments of Keras' `evaluate`."""

    x: Any
    y: Any
    sample_weight: Any
    batch_size: int | None


class FitData(NamedTuple):
    """Arguments of Keras' `fit`."""

    x: Any
    y: Any
    sample_weight: Any
    batch_size: int | None
    shuffle: bool
    validation_data: Any
    validation_split: float


def for_evaluation(
    expected: Expected, x: Any, y: Any, sample_weight: Any, batch_size: int | None
) -> EvaluationData:
    """The data of a call of `evaluate`.

    Args:
        expected: What the data must fit.
        x: As for `evaluate`.
        y: As for `evaluate`.
        sample_weight: As for `evaluate`.
        batch_size: As for `evaluate`.

    Returns:
        `EvaluationData`.

    Raises:
        TypeError: If something is not made of numbers.
        ValueError: If the data do not fit; the message says why.
    """
    x, y, sample_weight, sequences = take(
        expected, x, y, sample_weight, batch_size=batch_size
    )
    check_data(expected, x, y, sample_weight)
    return EvaluationData(x, y, sample_weight, None if sequences else batch_size)


def for_fit(
    expected: Expected,
    x: Any,
    y: Any,
    sample_weight: Any,
    *,
    batch_size: int | None,
    shuffle: bool | None,
    validation_data: Any,
    validation_split: float,
    class_weight: Any,
    steps_per_epoch: int | None,
) -> FitData:
    """The data of a call of `fit`.

    Args:
        expected: What the data must fit.
        x: As for `fit`.
        y: As for `fit`.
        sample_weight: As for `fit`.
        batch_size: As for `fit`.
        shuffle: As for `fit`.
        validation_data: As for `fit`.
        validation_split: As for `fit`.
        class_weight: As for `fit`; only checked.
        steps_per_epoch: As for `fit`; only checked.

    Returns:
        `FitData`. Sequences are shuffled by `RaggedBatches`, not by Keras.

    Raises:
        TypeError: If something is not made of numbers.
        ValueError: If the data do not fit; the message says why.
    """
    if validation_split and is_sequences(expected.model, x):
        (x, y, sample_weight), validation_data = split_off(
            validation_split, x, y, sample_weight
        )
        validation_split = 0.0
    x, y, sample_weight, sequences = take(
        expected,
        x,
        y,
        sample_weight,
        batch_size=batch_size,
        shuffle=shuffle is not False,
    )
    if sequences:
        batch_size, shuffle = None, False
    check_data(expected, x, y, sample_weight, shuffle=shuffle)
    check_fit(
        expected, x, y, class_weight=class_weight, steps_per_epoch=steps_per_epoch
    )
    validation_data = _for_validation(expected, validation_data)
    if shuffle is None:
        shuffle = not order_is_fixed(x)
    return FitData(
        x, y, sample_weight, batch_size, shuffle, validation_data, validation_split
    )


def _for_validation(expected: Expected, data: Any) -> Any:
    if data is None:
        return None
    whole = not isinstance(data, tuple | list)
    x, y, weights = keras.utils.unpack_x_y_sample_weight((data,) if whole else data)
    x, y, weights, sequences = take(expected, x, y, weights)
    check_data(expected, x, y, weights)
    return (
        x if whole or sequences else keras.utils.pack_x_y_sample_weight(x, y, weights)
    )
