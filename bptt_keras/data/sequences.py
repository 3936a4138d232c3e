"""Sequences of different lengths: read once, checked, and never padded as a whole."""

from __future__ import annotations

import collections.abc
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.data.finite import is_finite


class Sequences:
    """A list of sequences, each an array or several arrays of equal length.

    Arrays are kept without a copy, whether in memory, memory maps, or views of the
    values of a `tf.RaggedTensor`. Lists of numbers become arrays.

    Args:
        sequences: `tf.RaggedTensor` `(n, None, ...)`, or an iterable of sequences: an
            array `(time,)` or `(time, ...)`, a list of numbers or of lists, a tuple of
            numbers, or a dict or tuple of arrays or lists of equal length.
        name: Name of the argument, for messages.
        finite: Whether NaN and infinity are refused. Default: yes.

    Attributes:
        lengths: Timesteps of each sequence, `(n,)` int64.
        columns: For each array of the structure, the list of that array in every
            sequence.
        dtypes: Data type of each column; `keras.config.floatx()` for floats.
        shapes: Shape of one timestep in each column.

    Raises:
        TypeError: If `sequences` is not an iterable of sequences, or holds text or
            objects.
        ValueError: If there are no sequences, one is empty or holds NaN or infinity, or
            dtypes, widths or structures differ. The message names the sequence.
    """

    def __init__(self, sequences: Any, name: str = "sequences", *, finite: bool = True):
        self._name = name
        self._finite = finite
        items = _listed(sequences, name)
        if not items:
            raise ValueError(f"`{name}` must hold at least one sequence. Received: 0.")
        self._template = items[0]
        leaves = [self._leaves(index, item) for index, item in enumerate(items)]
        self.columns = [list(column) for column in zip(*leaves, strict=True)]
        self.lengths = np.array([len(first[0]) for first in leaves], np.int64)
        self._check_lengths()
        self.dtypes = [_dtype_out(column[0].dtype) for column in self.columns]
        self.shapes = [column[0].shape[1:] for column in self.columns]
        for column, dtype, shape in zip(
            self.columns, self.dtypes, self.shapes, strict=True
        ):
            self._check_alike(column, dtype, shape)

    def __len__(self) -> int:
        return len(self.lengths)

    def packed(self, leaves: Sequence[Any]) -> Any:
        """Arranges one value for each column in the structure of a sequence."""
        template = self._template
        if isinstance(template, dict):
            return dict(zip(sorted(template), leaves, strict=True))
        if isinstance(template, tuple):
            fields = hasattr(template, "_fields")
            return type(template)(*leaves) if fields else tuple(leaves)
        return leaves[0]

    def zeros(self, rows: int, steps: int) -> list[np.ndarray]:
        """Zeros `(rows, steps, ...)` for each column."""
        return [
            np.zeros((rows, steps, *shape), dtype)
            for dtype, shape in zip(self.dtypes, self.shapes, strict=True)
        ]

    def padded(self, rows: Sequence[int] | np.ndarray, steps: int) -> Any:
        """The sequences `rows`, padded with zeros: `(len(rows), steps, ...)`."""
        leaves = self.zeros(len(rows), steps)
        for column, leaf in zip(self.columns, leaves, strict=True):
            for place, row in enumerate(rows):
                leaf[place, : self.lengths[row]] = column[row]
        return self.packed(leaves)

    def spec(self, rows: int | None, steps: int | None) -> Any:
        """`tf.TensorSpec` of `(rows, steps, ...)` in the structure of a sequence."""
        return self.packed(
            [
                tf.TensorSpec((rows, steps, *shape), dtype)
                for dtype, shape in zip(self.dtypes, self.shapes, strict=True)
            ]
        )

    def require_lengths_of(self, others: Sequences) -> None:
        """Raises unless the number and lengths of sequences equal those of `others`.

        Raises:
            ValueError: If they differ. The message names the sequence.
        """
        if len(self) != len(others):
            raise ValueError(
                f"`{self._name}` must hold one array for each sequence. Received: "
                f"{len(self)} for {len(others)} sequences."
            )
        (differing,) = np.nonzero(self.lengths != others.lengths)
        if len(differing):
            index = differing[0]
            raise ValueError(
                f"`{self._name}` must hold one value for each timestep of a sequence. "
                f"Received: {self.lengths[index]} for sequence {index}, which has "
                f"{others.lengths[index]} timesteps."
            )

    def _leaves(self, index: int, item: Any) -> list[np.ndarray]:
        template = self._template
        same = type(item) is type(template) or not (
            isinstance(item, dict | tuple) or isinstance(template, dict | tuple)
        )
        if isinstance(item, dict):
            same = same and set(item) == set(template)
            values = [item[key] for key in sorted(item)]
        else:
            values = list(item) if isinstance(item, tuple) else [item]
            same = same and (not isinstance(item, tuple) or len(item) == len(template))
        if not same or not values:
            raise ValueError(
                f"All of `{self._name}` must have one structure. Received: number "
                f"{index} is {_kind(item)}, number 0 is {_kind(template)}."
            )
        return [self._array(index, value) for value in values]

    def _array(self, index: int, value: Any) -> np.ndarray:
        try:
            array = np.asarray(value)
            if array.dtype.kind == "O":
                array = np.asarray(array.tolist())
        except ValueError as error:
            raise ValueError(
                f"Each of `{self._name}` must be an array whose timesteps have one "
                f"shape. Received: number {index} has timesteps of different shapes."
            ) from error
        if array.ndim == 0:
            raise ValueError(
                f"Each of `{self._name}` must have a time axis: shape (time,) or "
                f"(time, features). Received: number {index} holds a single value of "
                f"type {type(value).__name__}. One series is a list of one sequence."
            )
        if array.size and not is_number(array.dtype):
            raise TypeError(
                f"`{self._name}` must hold integers or floating-point numbers. "
                f"Received: number {index} has the dtype {array.dtype}. Turn text into "
                f"ids first."
            )
        return array

    def _check_lengths(self) -> None:
        for column in self.columns:
            lengths = np.array([len(array) for array in column])
            (differing,) = np.nonzero(lengths != self.lengths)
            if len(differing):
                index = differing[0]
                raise ValueError(
                    f"The arrays of one sequence must have one length. Received: "
                    f"arrays of {self.lengths[index]} and {lengths[index]} timesteps "
                    f"in number {index} of `{self._name}`."
                )
        (empty,) = np.nonzero(self.lengths == 0)
        if len(empty):
            raise ValueError(
                f"Each of `{self._name}` must have at least 1 timestep. Received: "
                f"{len(empty)} without any, the first is number {empty[0]}. Leave them "
                f"out: [s for s in {self._name} if len(s)]."
            )

    def _check_alike(
        self, column: list[np.ndarray], dtype: str, shape: tuple[int, ...]
    ) -> None:
        for index, array in enumerate(column):
            if _dtype_out(array.dtype) != dtype:
                raise ValueError(
                    f"All of `{self._name}` must have one dtype. Received: number "
                    f"{index} has {array.dtype}, number 0 has {column[0].dtype}."
                )
            if array.shape[1:] != shape:
                raise ValueError(
                    f"The timesteps of all `{self._name}` must have one shape. "
                    f"Received: number {index} has the shape {array.shape}, number 0 "
                    f"{column[0].shape}; only the first axis, time, may differ."
                )
            if self._finite and not is_finite(array):
                raise ValueError(
                    f"`{self._name}` must be finite. Received: NaN or infinity in "
                    f"number {index}. Fill the gaps, or leave the sequence out."
                )


def holds_objects(values: Any) -> bool:
    """Whether `values` is a NumPy array of arrays, lists or other objects."""
    return isinstance(values, np.ndarray) and values.dtype.kind == "O"


def _listed(sequences: Any, name: str) -> list[Any]:
    if isinstance(sequences, tf.RaggedTensor):
        return _rows_of(sequences, name)
    wrong = isinstance(sequences, dict | str | bytes)
    if wrong or not isinstance(sequences, collections.abc.Iterable):
        raise TypeError(
            f"`{name}` must be a list of sequences, another iterable of them, or a "
            f"tf.RaggedTensor. Received: {_kind(sequences)}. Several arrays side by "
            f"side make one dict for each sequence: [{{'a': ..., 'b': ...}}, ...]."
        )
    if getattr(sequences, "ndim", 1) == 0:
        raise ValueError(
            f"`{name}` must be a list of sequences. Received: a single value."
        )
    # A tuple of numbers is not a tuple of arrays side by side.
    return [
        list(item) if isinstance(item, tuple) and all(map(np.isscalar, item)) else item
        for item in sequences
    ]


def is_table(value: Any) -> bool:
    """Whether a list or tuple holds numbers, or lists or tuples of numbers."""
    if not isinstance(value, list | tuple):
        return False
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return np.isscalar(value) or isinstance(value, list | tuple)


def _rows_of(ragged: tf.RaggedTensor, name: str) -> list[np.ndarray]:
    """Views of the rows of a ragged tensor."""
    values = ragged.values
    if isinstance(values, tf.RaggedTensor):
        # `tf.ragged.constant` makes every axis ragged by default.
        uniform = values.to_tensor()
        if int(tf.size(uniform)) != int(tf.size(values.flat_values)):
            raise ValueError(
                f"Only the time axis, axis 1, of `{name}` may be ragged. Received: a "
                f"tf.RaggedTensor of shape {tuple(ragged.shape)} with timesteps of "
                f"different shapes."
            )
        values = uniform
    values, splits = values.numpy(), ragged.row_splits.numpy()
    return [
        values[start:stop] for start, stop in zip(splits[:-1], splits[1:], strict=True)
    ]


def is_number(dtype: np.dtype) -> bool:
    """Whether a NumPy dtype is a real number: integer, boolean or any float."""
    return dtype.kind in "iufb" or "float" in dtype.name


def _dtype_out(dtype: np.dtype) -> str:
    return keras.config.floatx() if "float" in dtype.name else dtype.name


def _kind(value: Any) -> str:
    if isinstance(value, dict):
        return f"a dict with the keys {sorted(map(str, value))}"
    if isinstance(value, tuple):
        return f"a tuple of {len(value)}"
    return f"a {type(value).__name__}"
