"""Checks in the graph that must hold before a window may change anything."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from bptt_keras.training.assertions import require
from bptt_keras.training.programs.result import WindowResult
from bptt_keras.types import Tensor

_LABELS = (
    "`y` must hold class labels from 0 to the number of the model's outputs minus "
    "1. Received: a label outside."
)


def require_valid_window(result: WindowResult) -> list[Any]:
    """Stops the step if a window's program found something wrong.

    Args:
        result: What the program returned.

    Returns:
        List of operations for `tf.control_dependencies`.
    """
    return [require(valid, message) for message, valid in window_checks(result).items()]


def window_checks(result: WindowResult) -> dict[str, Tensor]:
    """The checks that must hold before a window may change anything.

    Args:
        result: What the window's program returned.

    Returns:
        `{message: scalar boolean tensor}`.
    """
    checks = {
        f"Ids must lie in the vocabulary of layer `{name}`, from 0 to `input_dim` - 1. "
        f"Received: an id outside.": valid
        for name, valid in result.ids_valid.items()
    }
    if result.terms:
        checks[_LABELS] = tf.reduce_all([term.labels_valid for term in result.terms])
    return checks
