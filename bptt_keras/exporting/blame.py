"""Finds the layer because of which a model cannot be exported."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.exporting.step import ExportedStep
from bptt_keras.keras_internals import inner_layers
from bptt_keras.state.examining.by_running import made_up_inputs
from bptt_keras.state.replaced import LOCK, replaced_call
from bptt_keras.types import Structure

# Seconds after which no more layers are tried.
_PATIENCE = 20
_LENGTH = 3


class _Alone(keras.Model):
    """A model of one layer, which stays as it is in the model that it belongs to."""

    def __init__(self, layer: keras.Layer):
        super().__init__()
        self.layer = layer
        self.built = True

    def call(self, inputs: Structure) -> Structure:
        return self.layer(inputs)


def layer_to_blame(
    step: ExportedStep,
    error: BaseException,
    attempt: Callable[[keras.Model, Structure], Any],
) -> keras.Layer | None:
    """The first layer that fails by itself, those that the error mentions first.

    Args:
        step: The step that could not be exported.
        error: What was raised.
        attempt: Function of a model and an example of its inputs that exports it, and
            raises if that fails.

    Returns:
        The layer, or `None` if none was found in 20 seconds.
    """
    seen: dict[str, tuple[keras.Layer, Structure]] = {}
    with contextlib.suppress(Exception):
        seen = _inputs_of_layers(step)
    text, carried = str(error), set(step.pure.layers)

    def rank(name: str) -> tuple[bool, bool]:
        return name not in text, name not in carried

    end = time.monotonic() + _PATIENCE
    for name in sorted(seen, key=rank):
        if time.monotonic() > end:
            return None
        layer, inputs = seen[name]
        try:
            attempt(_Alone(layer), inputs)
        except Exception:  # noqa: BLE001 - converters raise anything
            return layer
    return None


def _inputs_of_layers(step: ExportedStep) -> dict[str, tuple[keras.Layer, Structure]]:
    """`{name: (layer, inputs)}` of the layers that hold no others, from one call."""
    found: dict[str, tuple[keras.Layer, Structure]] = {}
    model = step.pure.model
    inputs = made_up_inputs(
        model, step.specs, rows=step.rows or 2, length=step.timesteps or _LENGTH
    )
    if step.example is not None:
        inputs = step.pack([tf.constant(x) for x in step.example])
    carried = step.pure.layers
    with LOCK, contextlib.ExitStack() as stack:
        for layer in step.pure.own_layers:
            if layer is model or inner_layers(layer) or layer in carried.values():
                continue
            stack.enter_context(_noting(layer, found))
        _, reaching = step.pure.observe(inputs)
    for name, layer in carried.items():
        found[name] = (layer, reaching[name])
    return found


def _noting(layer: keras.Layer, found: dict) -> Any:
    original = layer.call

    def call(inputs: Structure, *args: Any, **kwargs: Any) -> Structure:
        leaves = tf.nest.flatten(inputs)
        if all(tf.is_tensor(leaf) and leaf.shape.rank > 1 for leaf in leaves):
            found[layer.name] = (layer, inputs)
        return original(inputs, *args, **kwargs)

    return replaced_call(layer, call)
