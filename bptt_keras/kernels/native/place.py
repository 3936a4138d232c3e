"""Which way of calling the native library fits where a recurrence runs now."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Literal

import tensorflow as tf

from bptt_keras.keras_internals import RUNNING_FUNCTIONS
from bptt_keras.tensorflow_internals import (
    compiled_by_xla,
    function_being_traced,
    is_being_saved,
)

Way = Literal["operation", "custom call"]
# By these names TensorFlow knows functions that are never saved.
_PLAIN, _COMPILED = "bptt_keras_function", "bptt_keras_program"


def way_here() -> Way | None:
    """The way that fits; None where native code must not be part of what is traced.

    What a process saves must also run in one that does not have the library. So the
    function that is being traced must be one that stays in this process: one of a
    trainer, one with which Keras trains, evaluates or predicts, or one that XLA
    compiles for this machine. A function within such a function may also be called from
    elsewhere.
    """
    if tf.executing_eagerly():
        return "operation"
    name, xla = function_being_traced()
    if is_being_saved():
        return None
    if xla or name == _COMPILED:
        return "custom call"
    stays = name == _PLAIN or name in RUNNING_FUNCTIONS
    return "operation" if stays and not compiled_by_xla() else None


def never_saved(function: Callable[..., Any], *, xla: bool) -> Callable[..., Any]:
    """A function for `tf.function` that may contain native code, and is not saved.

    TensorFlow counts traces by a function's code object, which a `partial` does not
    have. Without it, several models would look like one function that is retraced too
    often, and TensorFlow would warn.

    Args:
        function: the function.
        xla: whether XLA compiles it.
    """
    named: Any = functools.partial(function)
    named.__name__ = _COMPILED if xla else _PLAIN
    return named


def any_way() -> Way:
    """The way that works here, wherever it may end up."""
    return "custom call" if compiled_by_xla() else "operation"
