"""An object that runs another function under one of its names for a while."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import keras

from bptt_keras.keras_internals import hiding

# One model is traced at a time: what is replaced belongs to the layer object.
LOCK = threading.RLock()


def replaced_call(
    layer: keras.Layer, call: Callable[..., Any]
) -> AbstractContextManager[None]:
    """Within: `layer` runs `call` for its own. One may stand inside another."""
    return replaced(layer, "call", call)


@contextlib.contextmanager
def replaced(owner: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """Within: `owner.name` is `function`. One may stand inside another.

    Args:
        owner: A layer or a variable.
        name: Name of a method, or of an attribute that holds a function.
        function: What takes its place.
    """
    original, thread = getattr(owner, name), threading.get_ident()

    def function_of_owner(*args, **kwargs):
        # Another thread may call the same model meanwhile: it gets the layer's own.
        mine = threading.get_ident() == thread
        return (function if mine else original)(*args, **kwargs)

    with hiding(owner, name, function_of_owner):
        yield
