"""The recurrences and dtypes that the native library has."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

DTYPES = (tf.float32, tf.bfloat16)


class Kind(NamedTuple):
    """A recurrence.

    Fields:
        number: its number in the library.
        gates: how many times its weights are as wide as its states.
        states: the number of its states.
        biases: the number of its biases.
    """

    number: int
    gates: int
    states: int = 1
    biases: int = 1


KINDS = {
    "lstm": Kind(0, gates=4, states=2),
    "gru": Kind(1, gates=3, biases=2),
    "gru_reset_before": Kind(2, gates=3),
    "simple_rnn_tanh": Kind(3, gates=1),
    "simple_rnn_relu": Kind(4, gates=1),
    "simple_rnn_linear": Kind(5, gates=1),
}


def why_not(kind: str | None, dtype: str | tf.DType) -> str | None:
    """None if the library has a recurrence in a dtype, or why not, in words.

    Args:
        kind: one of `KINDS`, or None for another recurrence.
        dtype: of the inputs.
    """
    if kind is None:
        return "it does not have this recurrence"
    if tf.as_dtype(dtype) not in DTYPES:
        return f"it does not compute in {tf.as_dtype(dtype).name}"
    return None
