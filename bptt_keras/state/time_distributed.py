"""`TimeDistributed` in one call of the inner layer, for any number of timesteps.

Keras calls the inner layer step by step, with the number of steps (or rows) fixed by
the trace. Here rows and timesteps become one axis, `(batch * time, ...)`.
"""

from __future__ import annotations

from contextlib import AbstractContextManager

import keras
import tensorflow as tf

from bptt_keras.keras_internals import takes_training
from bptt_keras.state.padding import expanded, joined
from bptt_keras.state.place import Place, axes_of
from bptt_keras.state.replaced import replaced_call
from bptt_keras.types import Tensor


def merges_time(layer: keras.Layer) -> bool:
    """Whether a layer is Keras' `TimeDistributed`, with Keras' own `call`."""
    return type(layer).call is keras.layers.TimeDistributed.call


def merging(layer: keras.Layer, place: Place) -> AbstractContextManager[None]:
    """A context in which the inner layer of a `TimeDistributed` is called once.

    The inner layer gets no mask: for a recurrent layer, for example, a flag per row of
    the merged axis makes no sense. Layers that can use the flags find them in `place`.

    Args:
        layer: A `keras.layers.TimeDistributed`.
        place: `Place` of the pass.
    """
    inner = layer.layer

    def call(inputs, training=None, mask=None):
        first = keras.tree.flatten(inputs)[0]
        sizes = axes_of(first)[:2]
        flags = None
        if place.fits(layer, "inputs", first):
            flags = expanded(place.flags, first, 2)
        if mask is not None:
            mask = tf.cast(keras.tree.flatten(mask)[0], tf.bool)
        flags = joined(mask, flags)
        options = {"training": training} if takes_training(inner) else {}
        with place.merged(sizes, None if flags is None else _merged(flags)):
            outputs = inner.call(keras.tree.map_structure(_merged, inputs), **options)
        return keras.tree.map_structure(
            lambda tensor: _unmerged(tensor, sizes, first.shape[:2]), outputs
        )

    return replaced_call(layer, call)


def _merged(tensor: Tensor) -> Tensor:
    """`(batch, time, ...)` as `(batch * time, ...)`."""
    rows, steps, *others = axes_of(tensor)
    merged = tf.reshape(tensor, tf.stack([rows * steps, *others]))
    rows, steps, *others = tensor.shape
    known = None not in (rows, steps)
    merged.set_shape([rows * steps if known else None, *others])
    return merged


def _unmerged(
    tensor: Tensor, sizes: list[int | Tensor], known: tf.TensorShape
) -> Tensor:
    """`(batch * time, ...)` as `(batch, time, ...)`."""
    unmerged = tf.reshape(tensor, tf.stack([*sizes, *axes_of(tensor)[1:]]))
    unmerged.set_shape([*known, *tensor.shape[1:]])
    return unmerged
