"""Everything that the package uses of TensorFlow that is not public.

Each is behind a function whose name says what it returns or does. TensorFlow may change
any of this in any release, sometimes without an error, so
`tests/test_tensorflow_internals.py` has a test for each that says what is gone (written
for TensorFlow 2.21).
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
    """Within: a graph like that of a `tf.function`, for a trace that is not kept."""
    return tf.__internal__.FuncGraph(name).as_default()


def compiled_by_xla() -> bool:
    """Whether XLA will compile the function that is being traced."""
    if tf.executing_eagerly():
        return False
    graph = tf.compat.v1.get_default_graph()
    return control_flow_util.GraphOrParentsInXlaContext(graph)


def unknown_to_xla(message: str) -> str | None:
    """The operation that XLA does not support, according to an error of its compiler.

    Args:
        message: First line of the error.

    Returns:
        Its name, such as `"Where"`; `None` if it is a different error.
    """
    found = re.search(r"on XLA_\w+: (\w+)", message)
    return found.group(1) if found else None


def updated_slice(
    array: tf.Tensor, part: tf.Tensor, start: list[Any] | tf.Tensor
) -> tf.Tensor:
    """An array with a part of it replaced; XLA does this in place.

    Args:
        array: Tensor of any rank.
        part: Tensor of the same rank, not larger along any axis.
        start: Where the part begins, an index for each axis.
    """
    return gen_xla_ops.xla_dynamic_update_slice(array, part, start)


# --- Gradients ---------------------------------------------------------------------


def is_recorded() -> bool:
    """Whether a tape may ask for gradients of what runs now.

    This cannot be known in a function that is traced before a tape calls it.
    """
    return record.could_possibly_record()


def unrecorded() -> AbstractContextManager[None]:
    """A context within which no tape records anything.

    For the inside of `tf.custom_gradient`: a persistent tape would also need gradients
    of the operations there, which XLA's operations do not have.
    """
    return record.stop_recording()


def custom_gradients() -> set[str]:
    """Names of the gradients that `tf.custom_gradient` has registered so far."""
    registered = ops.gradient_registry._registry
    return {name for name in registered if name.startswith("CustomGradient-")}


def forget_gradients(names: Iterable[str]) -> None:
    """Removes custom gradients from the registry, which itself never drops one.

    Args:
        names: Names, from `custom_gradients`, of gradients that no graph in use needs.
    """
    for name in names:
        del ops.gradient_registry._registry[name]


# --- The process -------------------------------------------------------------------


def operations_have_run() -> bool:
    """Whether an operation has run in this process, and settings have been read."""
    return context.context_safe() is not None and context.context()._initialized


# --- Input pipelines ---------------------------------------------------------------


def sources_of(dataset: tf.data.Dataset) -> list[tf.data.Dataset]:
    """The datasets from which `map`, `batch` and the like made a dataset."""
    return list(dataset._inputs())


def shuffles(dataset: tf.data.Dataset) -> bool:
    """Whether the last step of a pipeline was `shuffle`."""
    return "Shuffle" in type(dataset).__name__
