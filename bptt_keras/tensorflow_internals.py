"""All that the package takes from TensorFlow without a public name for it.

Each behind a function that says what it gives. TensorFlow may change any of it in any
release, some of it without an error, so `tests/test_tensorflow_internals.py` has a test
for each that says what has gone (written for TensorFlow 2.21).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Any

import tensorflow as tf
from tensorflow.compiler.tf2xla.ops import gen_xla_ops
from tensorflow.python.eager import context, record
from tensorflow.python.framework import ops
from tensorflow.python.ops import control_flow_util

# --- Graphs ------------------------------------------------------------------------


def empty_graph(name: str) -> AbstractContextManager[Any]:
    """Within: a graph like that of a `tf.function`, for a trace that nobody keeps."""
    return tf.__internal__.FuncGraph(name).as_default()


def compiled_by_xla() -> bool:
    """Whether the function that is being traced will be compiled by XLA."""
    if tf.executing_eagerly():
        return False
    graph = tf.compat.v1.get_default_graph()
    return control_flow_util.GraphOrParentsInXlaContext(graph)


def unknown_to_xla(message: str) -> str | None:
    """The operation that XLA does not know, according to a refusal of its compiler.

    Args:
        message: First line of the error.

    Returns:
        Its name, such as `"Where"`; `None` if the refusal is another.
    """
    found = re.search(r"on XLA_\w+: (\w+)", message)
    return found.group(1) if found else None


def updated_slice(
    array: tf.Tensor, part: tf.Tensor, start: list[Any] | tf.Tensor
) -> tf.Tensor:
    """An array with a part of it replaced, which XLA does in place.

    Args:
        array: Tensor of any rank.
        part: Tensor of the same rank, not larger along any axis.
        start: Where it begins, an index for each axis.
    """
    return gen_xla_ops.xla_dynamic_update_slice(array, part, start)


# --- Gradients ---------------------------------------------------------------------


def is_recorded() -> bool:
    """Whether a tape is there that may ask for gradients of what runs now.

    A function that is traced before a tape calls it does not know.
    """
    return record.could_possibly_record()


def unrecorded() -> AbstractContextManager[None]:
    """A context within which no tape records anything.

    For what is inside `tf.custom_gradient`: a persistent tape would want gradients of
    its operations, too, which those of XLA don't have.
    """
    return record.stop_recording()


def custom_gradients() -> set[str]:
    """Names of the gradients that `tf.custom_gradient` has registered so far."""
    registered = ops.gradient_registry._registry
    return {name for name in registered if name.startswith("CustomGradient-")}


def forget_gradients(names: Iterable[str]) -> None:
    """Takes custom gradients out of the registry, which itself never forgets one.

    Args:
        names: Of gradients that no graph in use refers to, from `custom_gradients`.
    """
    for name in names:
        del ops.gradient_registry._registry[name]


# --- The process -------------------------------------------------------------------


def operations_have_run() -> bool:
    """Whether an operation has run in this process, so that settings are read."""
    return context.context_safe() is not None and context.context()._initialized


# --- Input pipelines ---------------------------------------------------------------


def sources_of(dataset: tf.data.Dataset) -> list[tf.data.Dataset]:
    """The datasets that a dataset was made from, by `map`, `batch` and the like."""
    return list(dataset._inputs())


def shuffles(dataset: tf.data.Dataset) -> bool:
    """Whether the last step of a pipeline was `shuffle`."""
    return "Shuffle" in type(dataset).__name__
