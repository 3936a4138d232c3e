"""Checks, before anything runs, that shapes and dtypes of data fit the model."""

from __future__ import annotations

from typing import Any, TypeAlias, TypeGuard

import keras
import tensorflow as tf

from bptt_keras.keras_internals import declared_inputs
from bptt_keras.state.examining.timed import declared_shapes, timed_inputs
from bptt_keras.tensorflow_internals import empty_graph
from bptt_keras.training.batches.parts import check_flags, split_inputs
from bptt_keras.training.intake.expected import Expected
from bptt_keras.types import Structure

Shape: TypeAlias = tuple[Any, ...]
"""Sizes of the axes, `None` where unknown."""


def check_shapes(
    expected: Expected, x: Any, y: Any = None, sample_weight: Any = None
) -> None:
    """Raises if the model cannot take the data.

    Args:
        expected: What the data must fit.
        x: Inputs or `{"inputs": ..., ...}`: arrays, tensors or their specifications.
        y: Targets of these types, or `None`.
        sample_weight: Weights of these types, or `None`.

    Raises:
        TypeError: If something does not consist of numbers.
        ValueError: If a shape does not fit; names the expected and the received one.
    """
    model, parts = expected.model, split_inputs(x)
    inputs, targets = named_leaves("x", parts.inputs), named_leaves("y", y)
    weights = named_leaves("sample_weight", sample_weight)
    if not inputs:
        raise ValueError("`x` must hold an array. Received: x=None.")
    _check_structure(model, parts.inputs)
    for name, leaf in inputs + targets + weights:
        _check_numbers(name, leaf, model)
    wanted = _expected_shapes(model, parts.inputs)
    for (name, leaf), (shape, strict) in zip(inputs, wanted, strict=True):
        _check_input(name, shape_of(leaf), shape, strict)
    first = timed_leaf(model, parts.inputs)
    known = [pair for pair in targets + weights if shape_of(pair[1]) is not None]
    for name, leaf in inputs + known:
        _check_rows(name, leaf.shape, first.shape[0])
    check_flags(parts, first)
    once = expected.answers_at_each_step is False
    for name, leaf in known:
        if name.startswith("sample_weight"):
            _check_weights(name, leaf.shape, first.shape, once)


def shape_of(leaf: Any) -> Shape | None:
    """The shape as a tuple, or `None` if the rank is unknown."""
    shape = tf.TensorShape(leaf.shape)
    return None if shape.rank is None else tuple(shape)


def named_leaves(name: str, tree: Structure) -> list[tuple[str, Any]]:
    """List of `(name, leaf)`, for messages, of the leaves that are not `None`."""
    if tree is None:
        return []
    pairs = []
    for path, leaf in keras.tree.flatten_with_path(tree):
        keys = "".join(f"[{key!r}]" for key in path)
        # Datasets represent `None` by a specification that has no shape.
        absent = isinstance(leaf, tf.TypeSpec) and not hasattr(leaf, "shape")
        if leaf is not None and not absent:
            pairs.append((name + keys, leaf))
    return pairs


def timed_leaf(model: keras.Model, inputs: Structure) -> Any:
    """The first of the inputs (a structure of arrays) that has a time axis."""
    pairs = zip(
        tf.nest.flatten(inputs),
        tf.nest.flatten(timed_inputs(model, inputs)),
        strict=True,
    )
    return next(leaf for leaf, is_timed in pairs if is_timed)


def _check_structure(model: keras.Model, inputs: Structure) -> None:
    declared = getattr(model, "inputs", None) or []
    if not declared:
        return
    if isinstance(inputs, dict):
        names = {tensor.name for tensor in declared}
        if isinstance(declared_inputs(model), dict):
            names = set(declared_inputs(model))
        if names - set(inputs):
            raise ValueError(
                f"`x` must hold an array for each input of the model, {sorted(names)}. "
                f"Received: x with the keys {sorted(inputs)}."
            )
    elif len(tf.nest.flatten(inputs)) != len(declared):
        shapes = [_words(tensor.shape) for tensor in declared]
        came = [tuple(getattr(leaf, "shape", ())) for leaf in tf.nest.flatten(inputs)]
        raise ValueError(
            f"The model takes {len(declared)} array{'s' * (len(declared) > 1)} as `x`, "
            f"of shape {', '.join(shapes)}. Received: {_several(came)}. Sequences in a "
            f"list have the shape of one row each, without the batch axis."
        )


def _several(shapes: list[Shape]) -> str:
    if len(shapes) == 1:
        return f"one of shape {shapes[0]}"
    return f"{len(shapes)}, the first two of shapes {shapes[0]} and {shapes[1]}"


def _expected_shapes(
    model: keras.Model, inputs: Structure
) -> list[tuple[Shape | None, bool]]:
    """For each input its shape, `None` if unknown, and whether it is strict.

    A Functional model adds or drops a last axis of size 1; others do not.
    """
    flat = tf.nest.flatten(inputs)
    shapes = declared_shapes(model, inputs)
    if any(shape is not None for shape in shapes) or len(flat) != 1:
        return [(shape, False) for shape in shapes]
    return [(_shape_of_one(model, flat[0]), True)]


def _shape_of_one(model: keras.Model, leaf: Any) -> Shape | None:
    """The shape of the only input of a model that declares none, or `None`."""
    if isinstance(model, keras.Sequential) and model.layers:
        first = model.layers[0]
        if isinstance(first, keras.layers.Embedding):
            return (None, None)
        rank = getattr(getattr(first, "input_spec", None), "ndim", None)
        return None if rank is None else (None,) * rank
    shape = (model.get_build_config() or {}).get("input_shape")
    came = shape_of(leaf)
    if not model.built or came is None or not _is_shape(shape):
        return None
    if len(came) < 2 or _fits(came, shape, strict=True):
        return None
    try:
        # Not a Keras tensor: layers that declare their output's shape would not run.
        with empty_graph("try"):
            model(tf.compat.v1.placeholder(leaf.dtype, (2, 2, *came[2:])))
    except Exception:
        # The type of error depends on the layer that raises it.
        return (None, None, *shape[2:])
    return None


def _is_shape(shape: Any) -> TypeGuard[Shape]:
    return isinstance(shape, tuple) and all(
        size is None or isinstance(size, int) for size in shape
    )


def _check_numbers(name: str, leaf: Any, model: keras.Model) -> None:
    if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
        raise TypeError(
            f"`{name}` must be an array of numbers. Received: {name}={leaf!r} of type "
            f"{type(leaf).__name__}."
        )
    try:
        dtype = tf.as_dtype(leaf.dtype)
    except TypeError:
        dtype = None
    if dtype is not None and (dtype.is_floating or dtype.is_integer or dtype.is_bool):
        return
    declared = getattr(model, "inputs", None) or []
    if dtype == tf.string and any(tensor.dtype == "string" for tensor in declared):
        return
    shown = "object" if str(leaf.dtype) == "object" else getattr(dtype, "name", "other")
    raise TypeError(
        f"`{name}` must hold real numbers. Received: {name} of dtype {shown}. Text "
        f"becomes ids first; sequences of different lengths come as a list of arrays."
    )


def _check_input(
    name: str, shape: Shape | None, wanted: Shape | None, strict: bool
) -> None:
    if shape is None:
        raise ValueError(
            f"The shape of `{name}` must be known except for rows and timesteps. "
            f"Received: {name} of unknown rank. Give the dataset an `output_signature`."
        )
    rows, steps = (*shape, None, None)[:2]
    if rows == 0:
        raise ValueError(f"`{name}` must hold at least one row. Received: 0 rows.")
    if wanted is not None and not _fits(shape, wanted, strict):
        raise ValueError(
            f"`{name}` must fit the model's input, of shape {_words(wanted)}. "
            f"Received: {name} with shape {shape}.{_hint(shape, wanted)}"
        )
    if not shape or (wanted is None and len(shape) < 2):
        return  # Only the batch shows whether this input has no time axis.
    if steps == 0:
        raise ValueError(
            f"`{name}` must have at least 1 timestep. Received: {name} with shape "
            f"{shape}."
        )


def _fits(shape: Shape, wanted: Shape, strict: bool) -> bool:
    """Whether Keras can read an array of one shape as an input of another."""
    more = len(shape) - len(wanted)
    if strict and more:
        return False
    if more == 1 and shape[-1] == 1:
        shape = shape[:-1]
    elif more == -1 and wanted[-1] == 1 and len(shape) > 1:
        wanted = wanted[:-1]
    elif more:
        return False
    fixed = 1 if len(wanted) == 2 and wanted[1] is not None else 2
    return all(
        a == b or a is None or b is None
        for a, b in zip(shape[fixed:], wanted[fixed:], strict=True)
    )


def _hint(shape: Shape, wanted: Shape) -> str:
    if len(shape) == 1:
        return " One long series becomes batches with `bptt_keras.data.streams`."
    if len(shape) == len(wanted) - 1 and _fits((None, *shape), wanted, True):
        return " One sequence becomes a batch of one by `x[None]`."
    return ""


def _words(shape: Shape) -> str:
    names = ["batch", "time", *("..." if size is None else size for size in shape[2:])]
    if len(shape) == 2 and shape[1] is not None:
        names = ["batch", shape[1]]
    names = names[: len(shape)]
    return f"({', '.join(map(str, names))}{',' * (len(names) == 1)})"


def _check_rows(name: str, shape: Any, rows: int | None) -> None:
    if len(shape) == 0:
        raise ValueError(
            f"`{name}` must have the rows of `x`. Received: a single number."
        )
    if rows is not None and shape[0] not in (rows, None):
        raise ValueError(
            f"`x` and `{name}` must have the same number of rows. Received: x with "
            f"{rows} rows and {name} with {shape[0]}."
        )


def _check_weights(name: str, shape: Any, first: Any, once: bool) -> None:
    steps = first[1] if len(first) > 1 else None
    widths = (1, None) if once else (1, steps, None)
    spread = steps is None and not once
    if len(shape) == 1 or (len(shape) == 2 and (spread or shape[1] in widths)):
        return
    allowed = "(batch,) or (batch, 1)"
    if not once:
        allowed = "(batch,), (batch, 1) or, for targets at each timestep, (batch, time)"
    raise ValueError(
        f"`{name}` must have the shape {allowed}. Received: {name} with shape "
        f"{tuple(shape)} beside inputs with shape {tuple(first)}."
    )
