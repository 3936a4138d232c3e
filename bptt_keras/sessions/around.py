"""The base class of a Keras model around another one, such as a trainer."""

from __future__ import annotations

from typing import Any

import keras


class ModelAround(keras.Model):
    """A Keras model that has no weights but those of its `model`.

    Attributes:
        model: The inner model.
    """

    model: keras.Model


def innermost(model: Any) -> Any:
    """The model within a `ModelAround`, or what else is given.

    Example:
        from bptt_keras.sessions.around import innermost

        model = keras.Sequential([bk.layers.GRU(4)])
        assert innermost(bk.TruncatedBPTT(model, window=8)) is model
    """
    while isinstance(model, ModelAround):
        model = model.model
    return model
