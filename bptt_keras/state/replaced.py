"""Replaces a method of an object temporarily."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import keras

from bptt_keras.keras_internals import hiding

# One model is traced at a time, because methods are replaced in the layer objects.
LOCK = threading.RLock()


def replaced_call(
    layer: keras.Layer, call: Callable[..., Any]
) -> AbstractContextManager[None]:
    """A context in which `layer` runs `call` instead of its own; contexts may nest."""
    return replaced(layer, "call", call)


@contextlib.contextmanager
def replaced(owner: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    """A context in which `owner.name` is `function`; contexts may nest.

    Args:
        owner: A layer or a variable.
        name: Name of a method, or of an attribute that holds a function.
        function: What replaces it.
    """
    original, thread = getattr(owner, name), threading.get_ident()

    def function_of_owner(*args, **kwargs):
        # Another thread may call the same model meanwhile: it runs the original.
        mine = threading.get_ident() == thread
        return (function if mine else original)(*args, **kwargs)

    with hiding(owner, name, function_of_owner):
        yield
