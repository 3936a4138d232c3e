"""Checks that the ids that reach an embedding are in its vocabulary."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from contextlib import AbstractContextManager

import keras
import tensorflow as tf

from bptt_keras.keras_internals import all_layers
from bptt_keras.state.replaced import LOCK, replaced_call
from bptt_keras.types import Tensor


@contextlib.contextmanager
def watched_ids(model: keras.Model) -> Iterator[dict[str, Tensor]]:
    """A context in which each `Embedding` of the model checks that ids are in range.

    XLA silently clamps ids that are out of range, and without XLA the error names no
    layer. So they are clamped here, and the result says whether all were in range.

    Args:
        model: A built `keras.Model`.

    Yields:
        Dict that is filled as the model is called: layer name to scalar boolean, True
        if all ids were in range.
    """
    found: dict[str, Tensor] = {}
    with LOCK, contextlib.ExitStack() as replaced:
        for layer in all_layers(model):
            if isinstance(layer, keras.layers.Embedding):
                replaced.enter_context(_noting_ids(layer, found))
        yield found


def _noting_ids(
    layer: keras.Layer, found: dict[str, Tensor]
) -> AbstractContextManager[None]:
    original = layer.call

    def call(inputs, *args, **kwargs):
        ids = tf.cast(inputs, tf.int32)
        valid = tf.reduce_all((ids >= 0) & (ids < layer.input_dim))
        found[layer.name] = found.get(layer.name, True) & valid
        ids = tf.clip_by_value(ids, 0, layer.input_dim - 1)
        return original(ids, *args, **kwargs)

    return replaced_call(layer, call)
