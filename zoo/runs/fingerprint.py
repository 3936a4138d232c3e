"""A checksum of data in memory, independent of the files they came from."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any

import numpy as np

from zoo.recipes.recipe import Training


def digest(data: Any) -> str:
    """Checksum of the data that a task has loaded: arrays, texts, names and numbers.

    Args:
        data: Arrays, plain values, and lists, tuples, dicts, dataclasses and other
            objects of them. A recipe in them is left out: recipes are compared field
            by field.

    Returns:
        64 hexadecimal digits.

    Raises:
        TypeError: If something in them cannot be compared by value.
    """
    found = hashlib.sha256()
    _add(found, data)
    return found.hexdigest()


def _add(found: Any, value: Any) -> None:
    # The type and the length keep `["ab"]` and `["a", "b"]` apart.
    found.update(type(value).__name__.encode())
    if isinstance(value, np.generic | np.ndarray):
        value = np.asarray(value)
        if value.dtype.hasobject:
            return _add(found, value.tolist())
        found.update(f"{value.dtype.str}{value.shape}".encode())
        found.update(np.ascontiguousarray(value).tobytes())
    elif isinstance(value, str):
        _add_bytes(found, value.encode("utf-8", "surrogatepass"))
    elif isinstance(value, bytes):
        _add_bytes(found, value)
    elif value is None or isinstance(value, bool | int | float | complex):
        _add_bytes(found, repr(value).encode())
    elif isinstance(value, list | tuple):
        found.update(str(len(value)).encode())
        for item in value:
            _add(found, item)
    elif isinstance(value, dict):
        _add(found, list(value.items()))
    elif isinstance(value, Training):
        pass
    elif dataclasses.is_dataclass(value):
        for field in dataclasses.fields(value):
            _add(found, (field.name, getattr(value, field.name)))
    elif hasattr(value, "__dict__"):
        _add(found, vars(value))
    else:
        raise TypeError(f"no checksum of {type(value).__name__}")


def _add_bytes(found: Any, content: bytes) -> None:
    found.update(str(len(content)).encode())
    found.update(content)
