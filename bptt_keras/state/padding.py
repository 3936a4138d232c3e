"""Passes the timesteps that count to layers that padding would influence."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.keras_internals import divides_activity_losses_by_rows, mask_of
from bptt_keras.layers import ActivationRegularization
from bptt_keras.state.place import Note, Place
from bptt_keras.state.replaced import replaced, replaced_call
from bptt_keras.types import Structure, Tensor

_OURS = ("keras", "bptt_keras")


def is_foreign(layer: keras.Layer) -> bool:
    """Whether a layer's class is neither Keras' nor this package's."""
    return _package(type(layer)) not in _OURS


def takes_flags(layer: keras.Layer) -> bool:
    """Whether a layer's `call` takes a mask that means timesteps that count.

    This holds for `BatchNormalization` and for every layer with a user-defined `call`
    that takes a mask. In Keras' other layers a mask means something else (`Softmax`) or
    is only passed on.
    """
    if isinstance(layer, keras.layers.BatchNormalization | ActivationRegularization):
        return True
    own = _package(type(layer).call) not in _OURS
    if not own and not isinstance(layer, keras.layers.Lambda):
        return False
    return "mask" in inspect.signature(type(layer).call).parameters


def knowing_steps(
    layer: keras.Layer, place: Place, reset: Tensor | None
) -> AbstractContextManager[None]:
    """A context in which a layer gets the steps that count as its mask, and resets.

    If no step counts, the layer leaves its variables unchanged and adds no loss.

    Args:
        layer: A layer for which `takes_flags` is True.
        place: `Place` of the pass.
        reset: Booleans `(batch, time)`, or `None`.
    """
    original = layer.call
    signature = inspect.signature(original)
    takes_reset = isinstance(layer, ActivationRegularization)
    # If all steps are valid, a user's layer sees the model's own mask unchanged.
    knows_masks = takes_reset or isinstance(layer, keras.layers.BatchNormalization)

    def call(*args, **kwargs):
        bound = signature.bind(*args, **kwargs)
        given = bound.arguments
        inputs = next(iter(given.values()))
        fits = [place.fits(layer, "inputs", x) for x in _tensors(inputs)]
        if not (knows_masks or any(fits)):
            return original(*args, **kwargs)
        masks = given.get("mask")
        if masks is None:
            masks = keras.tree.map_structure(mask_of, inputs)
        in_order = iter(fits)

        def counted(tensor, mask):
            flags = place.flags if tf.is_tensor(tensor) and next(in_order) else None
            return _shaped_for(layer, tensor, joined(mask, flags))

        if not keras.tree.is_nested(masks):
            # A single mask that the model passes explicitly is that of the first input.
            inputs = keras.tree.flatten(inputs)[0]
        masks = keras.tree.map_structure(counted, inputs, masks)
        place.given_flags[id(layer)] += any(fits)
        if takes_reset:
            given["reset"] = None if place.sizes else reset
        known = [mask for mask in keras.tree.flatten(masks) if mask is not None]
        if not known:
            return original(*bound.args, **bound.kwargs)
        some = tf.reduce_any(known[0])
        # An average over no steps is NaN, and so is its gradient.
        given["mask"] = keras.tree.map_structure(
            lambda mask: None if mask is None else mask | ~some, masks
        )
        with _only_if(some, layer):
            return original(*bound.args, **bound.kwargs)

    return replaced_call(layer, call)


@contextlib.contextmanager
def regularized_steps(layer: keras.Layer, place: Place) -> Iterator[None]:
    """A context in which an activity regularizer sees zeros at steps that don't count.

    These are the steps that are not valid and those that the model itself masks.

    Args:
        layer: A layer with an `activity_regularizer`.
        place: `Place` of the pass.
    """
    original, original_call = layer.activity_regularizer, layer.call
    masks: list[Tensor | None] = []

    def call(*args, **kwargs):
        outputs = original_call(*args, **kwargs)
        masks[:] = _masks_of_outputs(layer, outputs, args, kwargs)
        return outputs

    def regularizer(outputs):
        mask = masks.pop(0) if masks else None
        fits = place.fits(layer, "outputs", outputs)
        mask = joined(mask, place.flags if fits else None)
        axis = 0 if place.sizes else 1
        if mask is not None and zeros_add_nothing(original, outputs, axis=axis):
            mask = expanded(mask, outputs, outputs.shape.rank)
            outputs = tf.where(mask, outputs, tf.zeros_like(outputs))
        loss = original(outputs)
        if not divides_activity_losses_by_rows():
            return loss
        # By the number of rows, of which `TimeDistributed` has more.
        return loss * tf.cast(place.steps_a_row, loss.dtype)

    with (
        replaced_call(layer, call),
        replaced(layer, "activity_regularizer", regularizer),
    ):
        yield


def zeros_add_nothing(
    regularizer: Callable[[Tensor], Tensor], outputs: Tensor | Note, *, axis: int
) -> bool:
    """Whether appending zeros to the outputs leaves an activity regularizer unchanged.

    Args:
        regularizer: Function from a tensor to a scalar.
        outputs: Tensor, or `Note`, like its argument.
        axis: The axis of the timesteps, 0 if rows and timesteps share one axis.
    """
    known = (keras.regularizers.L1, keras.regularizers.L2, keras.regularizers.L1L2)
    if type(regularizer) in known:
        return True
    shape = [*([2, 3] if axis else [6]), *(n or 3 for n in outputs.shape[axis + 1 :])]
    values = np.random.default_rng(0).normal(size=shape)
    tolerance = 1e-5 if outputs.dtype in (tf.float32, tf.float64) else 2e-2
    compared = []
    # A regularizer of probabilities has no value for negative outputs.
    for made in (values, np.abs(values)):
        # Eagerly, even while a graph is being traced.
        with tf.init_scope():
            made = tf.cast(made, outputs.dtype)
            longer = tf.concat([made, tf.zeros_like(made)], axis)
            short, long = (np.array(regularizer(x), "float64") for x in (made, longer))
        if np.isfinite(short):
            compared.append(np.allclose(short, long, rtol=tolerance))
    return bool(compared) and all(compared)


def joined(mask: Tensor | None, flags: Tensor | None) -> Tensor | None:
    """The steps where both a mask and flags are True; either may be `None`.

    Args:
        mask: Booleans `(batch, ...)`, or `None`.
        flags: Booleans whose first axes are those of the mask, or `None`.
    """
    if mask is None or flags is None:
        return flags if mask is None else tf.cast(mask, tf.bool)
    mask = tf.cast(mask, tf.bool)
    rank = max(mask.shape.rank, flags.shape.rank)
    return _with_rank(mask, rank) & _with_rank(flags, rank)


def expanded(flags: Tensor, tensor: Tensor, rank: int) -> Tensor:
    """Flags broadcast over the first `rank` axes of a tensor."""
    if flags.shape.rank < rank:
        flags = _with_rank(flags, rank) & tf.ones(tf.shape(tensor)[:rank], tf.bool)
        flags.set_shape(tensor.shape[:rank])
    return flags


def _with_rank(flags: Tensor, rank: int) -> Tensor:
    ones = tf.ones([rank - flags.shape.rank], tf.int32)
    return tf.reshape(flags, tf.concat([tf.shape(flags), ones], 0))


def _shaped_for(
    layer: keras.Layer, tensor: Tensor, mask: Tensor | None
) -> Tensor | None:
    """The mask in the shape that the layer expects."""
    if mask is None:
        return None
    if isinstance(layer, ActivationRegularization):
        return expanded(mask, tensor, 2)
    if isinstance(layer, keras.layers.BatchNormalization):
        rank = tensor.shape.rank - 1
        fitting = mask.shape.is_compatible_with(tensor.shape[: mask.shape.rank])
        if mask.shape.rank > rank or not fitting:
            # The mask comes from before a layer that changed these axes.
            mask = tf.reduce_any(mask, list(range(1, mask.shape.rank)))
        return expanded(mask, tensor, rank)
    return mask


def _masks_of_outputs(
    layer: keras.Layer, outputs: Structure, args: tuple, kwargs: dict[str, Any]
) -> list[Tensor | None]:
    """The masks that Keras will attach to a layer's outputs, flat, or an empty list."""
    made = [mask_of(tensor) for tensor in keras.tree.flatten(outputs)]
    if not layer.supports_masking or None not in made:
        return made
    inputs = args[0] if args else next(iter(kwargs.values()))
    mask = kwargs.get("mask")
    if mask is None:
        mask = keras.tree.map_structure(mask_of, inputs)
    flat = keras.tree.flatten(layer.compute_mask(inputs, mask))
    return flat if len(flat) == len(made) else []


@contextlib.contextmanager
def _only_if(some: Tensor, layer: keras.Layer) -> Iterator[None]:
    """A context in which variables and losses change only if `some` is True."""

    def assigning(variable):
        assign = variable.assign

        def held(value):
            # Under a mixed policy either may have half precision.
            new, old = (tf.cast(v, variable.dtype) for v in (value, variable.value))
            return assign(tf.where(some, new, old))

        return replaced(variable, "assign", held)

    add_loss = layer.add_loss

    def adding(loss):
        add_loss(
            keras.tree.map_structure(
                lambda x: tf.where(some, x, tf.zeros_like(x)), loss
            )
        )

    with contextlib.ExitStack() as stack:
        for variable in layer.non_trainable_weights:
            stack.enter_context(assigning(variable))
        stack.enter_context(replaced(layer, "add_loss", adding))
        yield


def _tensors(tree: Structure) -> list[Tensor]:
    return [tensor for tensor in keras.tree.flatten(tree) if tf.is_tensor(tensor)]


def _package(thing: Any) -> str:
    return thing.__module__.split(".")[0]
