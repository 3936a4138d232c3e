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
from tensorflow.python.saved_model import save_context

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


def function_being_traced() -> tuple[str | None, bool]:
    """The `tf.function` that is being traced, the innermost one.

    Returns:
        `(name, xla)`: the name of the Python function, or None outside of all; and
        whether XLA compiles this very function, and not only one around it.
    """
    graph = tf.compat.v1.get_default_graph()
    kind = tf.__internal__.FuncGraph
    # Branches and bodies of loops have graphs of subclasses.
    while isinstance(graph, kind) and type(graph) is not kind:
        graph = graph.outer_graph
    if not isinstance(graph, kind):
        return None, False
    # The context is around a call, or within a trace that is made without a call.
    xla = map(control_flow_util.InXlaContext, (graph, graph.outer_graph))
    return graph.name, any(xla)


def is_being_saved() -> bool:
    """Whether what is being traced goes into a SavedModel."""
    return save_context.in_save_context()


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


def call_in_xla(
    module: str,
    operands: list[tf.Tensor],
    results: list[tuple[tf.TensorShape, tf.DType]],
) -> list[tf.Tensor]:
    """Runs a module as a part of a program that XLA compiles for a CPU.

    Args:
        module: text in StableHLO, with a function `main`.
        operands: the arguments of `main`.
        results: shape and dtype of each result of `main`.
    """
    return gen_xla_ops.xla_call_module(
        operands,
        version=9,
        module=module,
        platforms=["CPU"],
        Sout=[shape for shape, _ in results],
        Tout=[dtype for _, dtype in results],
    )


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


def drop_custom_gradients() -> None:
    """Removes custom gradients from the graph that is being traced.

    TensorFlow would save a function for each of them, or warn whoever loads the graph
    that they are missing.
    """
    for operation in tf.compat.v1.get_default_graph().get_operations():
        if operation.type == "IdentityN":
            operation._clear_attr("_gradient_op_type")


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


def draws(dataset: tf.data.Dataset) -> bool:
    """Whether the last step of a pipeline draws at random, anew in each pass."""
    return shuffles(dataset) or "Random" in type(dataset).__name__


def repeats(dataset: tf.data.Dataset) -> bool:
    """Whether the last step of a pipeline was `repeat`."""
    return "Repeat" in type(dataset).__name__


def shuffles_unseeded(dataset: tf.data.Dataset) -> bool:
    """Whether the last step of a pipeline was `shuffle`, with no seed of any kind."""
    seeds = getattr(dataset, "_seed", 1), getattr(dataset, "_seed2", 1)
    return shuffles(dataset) and not any(int(seed) for seed in seeds)


def has_global_seed() -> bool:
    """Whether `tf.random.set_seed` has been called."""
    return context.global_seed() is not None


def position_of(iterator: tf.data.Iterator) -> bytes:
    """The position of an iterator of a pipeline.

    Raises:
        ValueError: If a part of the pipeline has a state that cannot be read, such as a
            Python generator; says which.
    """
    try:
        (state,) = iterator._serialize_to_tensors().values()
    except tf.errors.FailedPreconditionError as error:
        raise ValueError(error.message.split("\n")[0]) from None
    return tf.io.serialize_tensor(state).numpy()


def move_to(iterator: tf.data.Iterator, position: bytes) -> None:
    """Moves an iterator to a position of another iterator of the same pipeline."""
    (name,) = iterator._serialize_to_tensors()
    state = tf.io.parse_tensor(position, tf.variant)
    iterator._restore_from_tensors({name: state})


# --- Processes ---------------------------------------------------------------------


def has_computed() -> bool:
    """Whether TensorFlow has started, which it does when it first computes something.

    From then on it cannot be connected to other processes.
    """
    return context.context()._initialized


def abort_collectives(message: str) -> None:
    """Makes operations that wait for other processes fail, now and later.

    Args:
        message: Why.
    """
    context.context().abort_collective_ops(tf.errors.UNAVAILABLE, message)
