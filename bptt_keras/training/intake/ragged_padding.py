"""Pads the ragged batches of a dataset and adds the lengths of their rows."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.state.examining.timed import declared_shapes
from bptt_keras.training.assertions import require
from bptt_keras.training.batches.parts import split_inputs
from bptt_keras.types import Structure, Tensor


def holds_ragged(data: Structure) -> bool:
    """Whether data contain a ragged tensor, or the specification of one."""
    return any(_is_ragged(leaf) for leaf in _leaves(data))


def pad_dataset(
    dataset: tf.data.Dataset, model: keras.Model, window: int | None
) -> tf.data.Dataset:
    """The dataset with padded tensors and `lengths` for ragged tensors.

    The number and order of the batches do not change. Datasets without ragged tensors
    are returned as they are.

    Args:
        dataset: `tf.data.Dataset` of `x`, `(x,)`, `(x, y)` or `(x, y, weights)`.
        model: The inner model.
        window: Timesteps of a window, or `None`.
    """
    if not holds_ragged(dataset.element_spec):
        return dataset

    @tf.autograph.experimental.do_not_convert
    def pad(*data: Any) -> tuple[Any, ...]:
        data = data if isinstance(dataset.element_spec, tuple) else data[0]
        return pad_batch(data, model, window)

    return dataset.map(pad)


def pad_batch(data: Any, model: keras.Model, window: int | None) -> tuple[Any, ...]:
    """A batch with padded tensors and `lengths` for ragged tensors.

    If the longest row has `n` timesteps, the batch is padded to

        T = ceil(n / window) * window                           if n > window
        T = the first of ceil(window / 4), ceil(window / 2), window that holds n

    and without a window to `n`.

    Args:
        data: As an element of the dataset; `x` may be ragged or a dict with ragged
            `inputs`, and `reset` and `key` `(batch, time)` may be ragged like them.
        model: The inner model.
        window: Timesteps of a window, or `None`.

    Returns:
        The same, with `x` as `{"inputs": ..., "lengths": ...}`.

    Raises:
        ValueError: If targets are ragged but inputs are not, if lengths or a mask come
            with ragged inputs, or if ragged tensors differ in the lengths of their rows
            (in a graph: when it runs).
    """
    x, *beside = data if isinstance(data, tuple) else (data,)
    parts = split_inputs(x)
    ragged = [leaf for leaf in _leaves(parts.inputs) if _is_ragged(leaf)]
    if not ragged:
        raise ValueError(
            "Targets, weights and flags may be ragged only if the inputs are. "
            "Received: a tf.RaggedTensor beside dense inputs. Make the inputs ragged, "
            "or pad all and pass {'inputs': ..., 'lengths': ...}."
        )
    if parts.lengths is not None or parts.mask is not None:
        raise ValueError(
            "Ragged inputs already say how long their rows are. Received: `lengths` "
            "or `mask` beside them. Leave it out."
        )
    lengths = tf.cast(ragged[0].row_lengths(), tf.int64)
    steps = _padded_length(tf.reduce_max(lengths), window)
    shapes = iter(declared_shapes(model, parts.inputs))

    def padded(leaf: Any, name: str = "x", shape: Any = None) -> Any:
        if not _is_ragged(leaf):
            return leaf
        same = tf.reduce_all(tf.equal(tf.cast(leaf.row_lengths(), tf.int64), lengths))
        message = (
            f"All ragged tensors of a batch must have rows of the same lengths. "
            f"Received: `{name}` with other lengths than the inputs."
        )
        with tf.control_dependencies([require(same, message)]):
            dense = _dense(leaf, steps, name)
        if shape is not None and len(shape) == dense.shape.rank:
            dense = tf.ensure_shape(dense, [None, None, *shape[2:]])
        return dense

    inputs = tf.nest.map_structure(
        lambda t: padded(t, shape=next(shapes)), parts.inputs
    )
    kept = {
        name: padded(part, name)
        for name, part in parts._asdict().items()
        if part is not None and name != "inputs"
    }
    named = zip(("y", "sample_weight"), beside, strict=False)
    beside = [
        _mapped(functools.partial(padded, name=name), part) for name, part in named
    ]
    return ({"inputs": inputs, **kept, "lengths": lengths}, *beside)


def _dense(ragged: tf.RaggedTensor, steps: Tensor, name: str) -> Tensor:
    inner = ragged.values
    if isinstance(inner, tf.RaggedTensor):
        # `tf.ragged.constant` makes every axis ragged by default.
        uniform = inner.to_tensor()
        same = tf.equal(tf.size(uniform), tf.size(inner.flat_values))
        message = (
            f"Only the time axis may be ragged. Received: `{name}` with timesteps of "
            f"different shapes."
        )
        with tf.control_dependencies([require(same, message)]):
            ragged = ragged.with_values(tf.identity(uniform))
    inner = ragged.shape[2:].as_list()
    shape = tf.stack([-1, tf.cast(steps, tf.int64), *[-1] * len(inner)])
    return tf.ensure_shape(ragged.to_tensor(shape=shape), [None, None, *inner])


def _padded_length(longest: Tensor, window: int | None) -> Tensor:
    longest = tf.maximum(longest, 1)
    if window is None:
        return longest
    whole = -(-longest // window) * window
    short = [max(-(-window // divisor), 1) for divisor in (4, 2, 1)]
    for steps in reversed(short):
        whole = tf.where(longest <= steps, tf.cast(steps, whole.dtype), whole)
    return whole


def _is_ragged(value: Any) -> bool:
    spec = isinstance(value, tf.RaggedTensorSpec) and value.ragged_rank > 0
    return spec or isinstance(value, tf.RaggedTensor)


def _leaves(tree: Structure) -> list[Any]:
    return [] if tree is None else tf.nest.flatten(tree)


def _mapped(function: Callable[[Any], Any], tree: Structure) -> Structure:
    return None if tree is None else tf.nest.map_structure(function, tree)
