"""The state of Python objects as plain values, which JSON and arrays can hold."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

# What a value that is not saved may be: given by the user, and the same when resuming.
_GIVEN = (str, bytes, type, keras.Model, keras.layers.Layer, keras.optimizers.Optimizer)
_OWN = {"model", "_model", "params"}


class Arrays(list):
    """Arrays that plain values refer to by number."""

    def add(self, array: Any) -> int:
        """Keeps an array and returns its number."""
        self.append(np.asarray(array))
        return len(self) - 1


def state_of(owner: Any, arrays: Arrays) -> tuple[dict[str, Any], list[str]]:
    """The attributes of an object that are plain values.

    An object with the methods `get_state` and `set_state` says itself what its state
    is. Otherwise it is all attributes that hold numbers, `None`, arrays, functions of
    `keras.ops`, random generators of Python and NumPy, and lists, tuples and dicts of
    these. Strings are settings, such as the path of a log, except within lists and
    dicts.

    Args:
        owner: A callback or a schedule of windows.
        arrays: Takes the arrays.

    Returns:
        `(state, missing)`: values for JSON, and the names of attributes that are
        neither plain nor, like functions, models and paths, settings.
    """
    if hasattr(owner, "get_state") and hasattr(owner, "set_state"):
        return {"own": encoded(owner.get_state(), arrays)}, []
    state, missing = {}, []
    for name, value in vars(owner).items():
        if name in _OWN or isinstance(value, str):
            continue
        try:
            state[name] = encoded(value, arrays)
        except TypeError:
            if not (callable(value) or isinstance(value, _GIVEN) or is_path(value)):
                missing.append(name)
    return {"attributes": state}, missing


def left_out(callbacks: list[Any]) -> list[str]:
    """Names of what `state_of` misses in callbacks that are not Keras' or ours."""
    return [
        f"{type(callback).__name__}.{name}"
        for callback in callbacks
        if not type(callback).__module__.startswith(("keras.", "bptt_keras."))
        for name in state_of(callback, Arrays())[1]
    ]


def restore(owner: Any, state: Mapping[str, Any], arrays: Arrays) -> None:
    """Restores an object from what `state_of` returned.

    Raises:
        ValueError: If the state has what `state_of` leaves out: settings such as the
            path of a file, or a method.
    """
    if "own" in state:
        owner.set_state(decoded(state["own"], arrays))
        return
    for name, value in state["attributes"].items():
        kept = vars(owner).get(name)
        method = callable(getattr(type(owner), name, None))
        if name in _OWN or isinstance(value, str) or method or not _is_plain(kept):
            raise ValueError(
                f"`{name:.60}` of {type(owner).__name__} is a setting, and no state"
            )
        if isinstance(kept, random.Random | np.random.Generator):
            _restore_generator(kept, decoded(value, arrays))
        else:
            object.__setattr__(owner, name, decoded(value, arrays))


def encoded(value: Any, arrays: Arrays) -> Any:
    """A value for JSON.

    Raises:
        TypeError: If it is not plain.
    """
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, list):
        return [encoded(item, arrays) for item in value]
    if isinstance(value, tuple):
        return {"tuple": [encoded(item, arrays) for item in value]}
    if isinstance(value, Mapping):
        pairs = [[encoded(k, arrays), encoded(v, arrays)] for k, v in value.items()]
        return {"dict": pairs}
    if isinstance(value, random.Random):
        return encoded(value.getstate(), arrays)
    if isinstance(value, np.random.Generator):
        return encoded(value.bit_generator.state, arrays)
    if isinstance(value, np.ndarray | np.generic) and value.dtype.kind != "O":
        array = np.asarray(value)
        if array.dtype.kind == "V":  # bfloat16 and the like
            bits = arrays.add(array.view(f"u{array.itemsize}"))
            return {"bits": [bits, array.dtype.name]}
        scalar = isinstance(value, np.generic)
        return {"scalar" if scalar else "array": arrays.add(array)}
    name = getattr(value, "__name__", "")
    if name and getattr(keras.ops, name, None) is value:
        return {"ops": name}
    raise TypeError(f"a {type(value).__name__} is not plain")


def decoded(value: Any, arrays: Arrays) -> Any:
    """The value that `encoded` was given."""
    if isinstance(value, list):
        return [decoded(item, arrays) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tuple":
        return tuple(decoded(item, arrays) for item in content)
    if kind == "dict":
        return {decoded(k, arrays): decoded(v, arrays) for k, v in content}
    if kind == "ops":
        found = getattr(keras.ops, content)
        if getattr(found, "__name__", None) != content or not callable(found):
            raise ValueError(f"{content!r:.60} is no function of `keras.ops`")
        return found
    if kind == "bits":
        number, name = content
        return arrays[number].view(tf.as_dtype(name).as_numpy_dtype)
    array = arrays[content]
    return array[()] if kind == "scalar" else array


def _is_plain(value: Any) -> bool:
    try:
        encoded(value, Arrays())
    except TypeError:
        return False
    return True


def is_path(value: Any) -> bool:
    """Whether a value is a path, but not a string."""
    return hasattr(value, "__fspath__")


def _restore_generator(generator: Any, state: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(state)
    else:
        generator.bit_generator.state = state
