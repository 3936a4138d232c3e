"""Which layers can be cut along time, and which have a state that is carried."""

from __future__ import annotations

from collections.abc import Callable

import keras
import tensorflow as tf

from bptt_keras.keras_internals import all_layers, inner_layers
from bptt_keras.state.protocol import follows_protocol

_ATTENTION = (
    keras.layers.Attention,
    keras.layers.AdditiveAttention,
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
)
_TIME_POOLING = (
    keras.layers.AveragePooling1D,
    keras.layers.MaxPooling1D,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.UpSampling1D,
    keras.layers.ZeroPadding1D,
    keras.layers.Cropping1D,
)
_TIME_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv1DTranspose,
    keras.layers.SeparableConv1D,
    keras.layers.DepthwiseConv1D,
)


def check_carriable(model: keras.Model) -> None:
    """Raises if the model mixes time in a way that a carried state cannot follow.

    Args:
        model: A `keras.Model`, built or not.

    Raises:
        TypeError: If `model` is not a `keras.Model`.
        ValueError: If so; names the layer and says what to do.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` must be a `keras.Model`. Received: model={model!r} of type "
            f"{type(model).__name__}."
        )
    within = within_a_step(model)
    for layer in all_layers(model):
        if id(layer) in within or follows_protocol(layer):
            continue
        problem = _problem(layer)
        if _is_cell(layer):
            problem = (
                "a cell outside a recurrent layer is looped over by hand, and its "
                "state is out of sight. Wrap it: `keras.layers.RNN(cell)`."
            )
        if problem is not None:
            raise ValueError(
                f"Layer {layer.name!r} ({type(layer).__name__}) cannot be cut in "
                f"time: {problem}"
            )


def _problem(layer: keras.Layer) -> str | None:
    if isinstance(layer, keras.layers.Bidirectional):
        return (
            "its backward half needs the future, which later windows hold. Use a "
            "forward layer, or train on whole sequences with the model itself."
        )
    if isinstance(layer, keras.layers.RNN):
        if layer.go_backwards:
            return (
                "`go_backwards=True` starts at the end of the sequence. Reverse the "
                "data instead and leave `go_backwards=False`."
            )
        if layer.stateful:
            return (
                "`stateful=True` keeps a state of its own beside the carried one. "
                "Leave `stateful=False`: the state is carried for you."
            )
    if isinstance(layer, _ATTENTION):
        return "attention looks at every timestep, but a window holds only its own."
    if isinstance(layer, _TIME_POOLING):
        return (
            "it pools or pads along time, and the result would depend on the "
            "windows. Use the last output of a recurrent layer instead."
        )
    if isinstance(layer, _TIME_CONVOLUTIONS) and not _pointwise(layer):
        return (
            "a convolution over time needs its neighbours across the cut. Apply it "
            "to the data beforehand, or use `kernel_size=1`."
        )
    return None


def _pointwise(layer: keras.Layer) -> bool:
    return set(layer.kernel_size) == {1} and set(tf.nest.flatten(layer.strides)) == {1}


def _is_cell(layer: keras.Layer) -> bool:
    return hasattr(layer, "state_size") and not isinstance(layer, keras.layers.RNN)


def within_a_step(model: keras.Model) -> set[int]:
    """Ids of the layers that another layer applies to one timestep at a time.

    These are the layers inside `TimeDistributed` and those of `within_the_carried`.
    """
    return within_the_carried(model) | within_time_distributed(model)


def within_the_carried(model: keras.Model) -> set[int]:
    """Ids of the cells of recurrent layers and of the layers inside them.

    This includes the layers inside one that follows the state protocol, which manages
    their state itself.
    """
    return _within(
        model, lambda x: isinstance(x, keras.layers.RNN) or follows_protocol(x)
    )


def within_time_distributed(model: keras.Model) -> set[int]:
    """Ids of the layers inside a `TimeDistributed`."""
    return _within(model, lambda x: isinstance(x, keras.layers.TimeDistributed))


def _within(model: keras.Model, is_outer: Callable[[keras.Layer], bool]) -> set[int]:
    return {
        id(inner)
        for layer in all_layers(model)
        if is_outer(layer)
        for inner in inner_layers(layer)
    }


def recurrent_layers(model: keras.Model) -> list[tuple[str, keras.Layer]]:
    """(unique name, layer) of each layer whose state is carried."""
    within = within_a_step(model)
    found, names = [], set()
    seen = set()
    for layer in all_layers(model):
        is_carried = isinstance(layer, keras.layers.RNN) or follows_protocol(layer)
        if not is_carried or id(layer) in within or id(layer) in seen:
            continue
        seen.add(id(layer))
        name, number = layer.name, 1
        while name in names:
            name, number = f"{layer.name}_{number}", number + 1
        names.add(name)
        found.append((name, layer))
    return found
