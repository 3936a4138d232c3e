"""What a model takes as one piece of a sequence: names, shapes, dtypes; checked."""

from __future__ import annotations

import numbers
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.keras_internals import declared_inputs
from bptt_keras.state import timed_inputs
from bptt_keras.types import Structure, Tensor

# Kinds of NumPy's dtypes that become a dtype of the kind before them. "V": bfloat16.
_KINDS = {"f": "fiub", "V": "fiubV", "i": "iu", "u": "iu", "b": "b", "O": "OSUT"}


class Entry(NamedTuple):
    """One input of a model.

    Fields:
        name: Its name, `x` if it has none.
        shape: `(rows, time, ...)`, or `(rows, ...)` without a time axis. `None`: any
            size.
        dtype: `tf.DType` that the model takes.
        timed: Whether axis 1 is time.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: tf.DType
    timed: bool

    @property
    def spec(self) -> tf.TensorSpec:
        """As a `tf.TensorSpec` with the name."""
        return tf.TensorSpec(self.shape, self.dtype, name=self.name)


class ModelInputs:
    """The inputs of a model, flat, and the structure that it takes them in.

    Args:
        model: A built `keras.Model`.
        inputs: Structure of arrays, tensors or `tf.TensorSpec` that it takes.
        rows: Number of rows of each, or `None` for any.

    Raises:
        TypeError: If `inputs` holds anything but arrays.
        ValueError: If `inputs` does not fit what the model declares.
    """

    def __init__(self, model: keras.Model, inputs: Structure, rows: int | None):
        inputs = as_arrays(inputs)
        self.structure = tf.nest.map_structure(lambda _: None, inputs)
        flat = tf.nest.flatten(inputs)
        declared = _declared(model, inputs)
        timed = tf.nest.flatten(timed_inputs(model, inputs))
        self.entries = [
            _entry(*each, rows=rows) for each in zip(flat, declared, timed, strict=True)
        ]

    @property
    def specs(self) -> Structure:
        """Structure of `tf.TensorSpec`, as the model takes it."""
        return self.pack([entry.spec for entry in self.entries])

    def pack(self, flat: list[Any]) -> Structure:
        """The structure that the model takes, from a flat list."""
        return tf.nest.pack_sequence_as(self.structure, flat)

    def read(self, inputs: Structure, valid: np.ndarray | None) -> list[Tensor]:
        """Checks one piece of a sequence.

        Args:
            inputs: Structure of arrays or tensors.
            valid: Booleans `(rows, time)`: only these steps must be finite. `None`:
                all.

        Returns:
            Flat list of tensors in the dtypes that the model takes.

        Raises:
            TypeError: If a dtype is wrong.
            ValueError: If a structure, shape or value is wrong.
        """
        inputs = as_arrays(inputs)
        try:
            tf.nest.assert_same_structure(self.structure, inputs)
        except (TypeError, ValueError):
            raise ValueError(
                f"`x` must have the structure that the model takes. Expected: "
                f"{self.pack([entry.name for entry in self.entries])}. Received: "
                f"{tf.nest.map_structure(_described, inputs)}."
            ) from None
        arrays = tf.nest.flatten(inputs)
        steps = next(
            (
                array.shape[1]
                for array, entry in zip(arrays, self.entries, strict=True)
                if entry.timed and len(array.shape) > 1
            ),
            None,
        )
        return [
            _checked(array, entry, steps, valid)
            for array, entry in zip(arrays, self.entries, strict=True)
        ]

    def steps_of(self, tensors: list[Tensor]) -> int:
        """Number of timesteps of what `read` returned."""
        place = next(i for i, entry in enumerate(self.entries) if entry.timed)
        return tensors[place].shape[1]


def as_arrays(inputs: Structure) -> Structure:
    """Inputs with their numbers in arrays: lists of numbers are no structure.

    Raises:
        TypeError: If there is anything but numbers, arrays and tensors.
    """
    flat = tf.nest.flatten(inputs)
    if flat and all(isinstance(leaf, numbers.Number | str | bytes) for leaf in flat):
        return np.asarray(inputs)
    for leaf in flat:
        if tf.is_symbolic_tensor(leaf):
            raise TypeError(
                "A session runs at once, not within a `tf.function`. Received: a "
                "symbolic tensor. Use `bk.PureStep(model)` there, and pass its state."
            )
        if not hasattr(leaf, "shape") or not hasattr(leaf, "dtype"):
            raise TypeError(
                f"`x` must hold arrays or tensors. Received: {leaf!r} of type "
                f"{type(leaf).__name__}."
            )
    return inputs


def _declared(model: keras.Model, inputs: Structure) -> list[Any]:
    """The `keras.Input` behind each flat input; `None` where there is none."""
    flat, known = tf.nest.flatten(inputs), list(getattr(model, "inputs", None) or [])
    if not known:
        return [None] * len(flat)
    if isinstance(inputs, dict) and not isinstance(declared_inputs(model), dict):
        named = {tensor.name: tensor for tensor in known}
        if set(inputs) == set(named):
            return [named[name] for name in sorted(inputs)]
        raise ValueError(
            f"`x` must have the model's inputs, {sorted(named)}. Received: "
            f"{sorted(inputs)}."
        )
    if len(flat) != len(known):
        raise ValueError(
            f"`x` must have one array for each input of the model, "
            f"{[tensor.name for tensor in known]}. Received: "
            f"{tf.nest.map_structure(_described, inputs)}."
        )
    return known


def _entry(array: Any, declared: Any, timed: bool, *, rows: int | None) -> Entry:
    if declared is not None:
        shape, dtype, name = declared.shape, declared.dtype, declared.name
    else:
        # What the model has not declared is what it is shown first.
        shape, dtype, name = tuple(array.shape), _plain_dtype(array), "x"
        if timed:
            shape = (None, None, *shape[2:])
    return Entry(name, (rows, *tuple(shape)[1:]), tf.as_dtype(dtype), bool(timed))


def _plain_dtype(array: Any) -> str:
    name = tf.as_dtype(array.dtype).name
    return keras.config.floatx() if name == "float64" else name


def _checked(
    array: Any, entry: Entry, steps: int | None, valid: np.ndarray | None
) -> Tensor:
    """One input as a tensor, after all checks."""
    wanted = list(entry.shape)
    if entry.timed and steps is not None and wanted[1] is None:
        wanted[1] = steps
    received = tuple(array.shape)
    fits = len(received) == len(wanted) and all(
        size in (None, got) for size, got in zip(wanted, received, strict=True)
    )
    if not fits or (entry.timed and received[1] == 0):
        raise ValueError(
            f"`{entry.name}` must have the shape {_words(entry)}. Received: "
            f"{entry.name} with shape {received}.{_hint(entry, received)}"
        )
    tensor, array = array, np.asarray(array)
    wanted_dtype = np.dtype(entry.dtype.as_numpy_dtype)
    if array.dtype.kind not in _KINDS.get(wanted_dtype.kind, wanted_dtype.kind):
        raise TypeError(
            f"`{entry.name}` must hold numbers that {entry.dtype.name} can hold. "
            f"Received: {entry.name} of dtype {array.dtype.name}."
        )
    if wanted_dtype.kind == "O":
        return tf.convert_to_tensor(array, tf.string)
    if array.dtype != wanted_dtype:
        array = _converted(array, wanted_dtype, entry)
    if wanted_dtype.kind in "fV":
        _check_finite(array, entry, valid)
    if tf.is_tensor(tensor) and tensor.dtype == entry.dtype:
        return tensor
    return tf.constant(array)


def _converted(array: np.ndarray, dtype: np.dtype, entry: Entry) -> np.ndarray:
    if dtype.kind in "iu" and array.size:
        bounds = np.iinfo(dtype)
        low, high = int(array.min()), int(array.max())
        if low < bounds.min or high > bounds.max:
            raise ValueError(
                f"`{entry.name}` must hold numbers that {entry.dtype.name} can hold. "
                f"Received: numbers from {low} to {high}."
            )
    with np.errstate(over="ignore"):  # the next check finds it
        return array.astype(dtype)


def _check_finite(array: np.ndarray, entry: Entry, valid: np.ndarray | None) -> None:
    if np.isfinite(array).all():
        return
    known = valid is not None and entry.timed and valid.shape == array.shape[:2]
    if known and np.isfinite(array[valid]).all():
        return
    raise ValueError(
        f"`{entry.name}` must be finite: NaN or infinity would stay in the state. "
        f"Received: {entry.name} with {int((~np.isfinite(array)).sum())} values that "
        f"are not. Say with `valid` which timesteps have no input."
    )


def _words(entry: Entry) -> str:
    axes = [("rows", entry.shape[0])]
    if entry.timed:
        axes.append(("time", entry.shape[1]))
    axes += [("any size", size) for size in entry.shape[len(axes) :]]
    sizes = [name if size is None else str(size) for name, size in axes]
    return f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"


def _hint(entry: Entry, received: tuple[int, ...]) -> str:
    if entry.timed and len(received) == len(entry.shape) - 1:
        return " One timestep has a time axis too: `x[:, None]`."
    if entry.timed and len(received) > 1 and received[1] == 0:
        return " There must be at least one timestep."
    return ""


def _described(array: Any) -> str:
    return f"{np.dtype(tf.as_dtype(array.dtype).as_numpy_dtype).name}{array.shape}"
