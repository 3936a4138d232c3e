"""Pads windows to a few sizes, because XLA compiles a program for each size.

Padding is not valid: the state does not change there, and its weight is 0.
"""

from __future__ import annotations

from collections.abc import Callable

import tensorflow as tf

from bptt_keras.training.programs.batch_like import BatchLike, Size
from bptt_keras.training.programs.result import WindowResult
from bptt_keras.types import State, Tensor

_POWERS = [1 << power for power in range(31)]


class Sizes:
    """The few sizes that windows are padded to.

    A shorter window is padded to one, two, three or four quarters of the longest. If
    numbers of rows vary, a batch with fewer rows than an earlier one is padded to the
    next power of two, but to no more rows than the largest batch.

    Args:
        usual: Timesteps of a window that is cut from a batch, or `None`: a window is
            a whole batch and keeps its length.
        longest: Timesteps of the longest window, or `None` in the same case.
        on: Whether anything is padded. Padding does not pay without XLA, and is wrong
            if a model counts padding.

    Attributes:
        rows_vary: Whether the current trace is for many numbers of rows.
    """

    def __init__(self, usual: int | None, longest: int | None, on: bool):
        self._usual = usual
        self._longest = longest
        self.on = on
        self.rows_vary = False
        with tf.init_scope():
            self._most_rows = tf.Variable(0, trainable=False)

    def see(self, batch: BatchLike) -> None:
        """Notes the rows of a batch before its windows run."""
        if self._pads_rows(batch):
            most = tf.maximum(self._most_rows.read_value(), batch.rows)
            self._most_rows.assign(most)

    def wanted(self, window: BatchLike) -> tuple[Size | None, Size | None]:
        """`(timesteps, rows)` that a window is padded to; `None`: no padding."""
        if not self.on:
            return None, None
        length = self._padded_length(window.length)
        same = isinstance(length, int) and length == window.length
        return None if same else length, self.wanted_rows(window)

    def wanted_rows(self, window: BatchLike) -> Size | None:
        """Rows that a window or a batch is padded to; `None`: no padding."""
        return self._padded_rows(window.rows) if self._pads_rows(window) else None

    def _pads_rows(self, batch: BatchLike) -> bool:
        return self.on and self.rows_vary and batch.inputs[0].shape[0] is None

    def _padded_length(self, length: Size) -> Size:
        longest = self._longest
        if longest is None or (isinstance(length, int) and length == self._usual):
            return length
        sizes = sorted({-(-longest * quarters // 4) for quarters in (1, 2, 3, 4)})
        if isinstance(length, int):
            return next((size for size in sizes if size >= length), length)
        return _next(sizes, length)

    def _padded_rows(self, rows: Tensor) -> Tensor:
        most = self._most_rows.read_value()
        return tf.maximum(rows, tf.minimum(_next(_POWERS, rows), most))


def run_padded(
    sizes: Sizes,
    run: Callable[..., WindowResult],
    window: BatchLike,
    state: State,
    *,
    timed: bool,
    at_front: bool = False,
) -> WindowResult:
    """Runs a program on a window, padded if needed.

    Args:
        sizes: The sizes that windows are padded to.
        run: Function `(window, state) -> WindowResult`.
        window: `Batch` of one window.
        state: Named state.
        timed: Whether outputs and targets have a time axis.
        at_front: Whether padding comes before the window's timesteps.

    Returns:
        What `run` returns, without the padding.
    """
    length, rows = sizes.wanted(window)
    if length is None and rows is None:
        return run(window, state)
    own_length, own_rows = window.length, window.rows

    def padded() -> WindowResult:
        longer = window.padded_to(
            own_length if length is None else length,
            rows=rows,
            timed_targets=timed,
            at_front=at_front,
        )
        more = state if rows is None else with_rows(state, rows - own_rows)
        result = run(longer, more)
        return cut_result(result, own_rows, own_length, timed=timed, at_front=at_front)

    if length is not None or window.valid is not None:
        return padded()
    return tf.cond(rows > own_rows, padded, lambda: run(window, state))


def cut_result(
    result: WindowResult, rows: Size, new: Size, *, timed: bool, at_front: bool = False
) -> WindowResult:
    """The result of a padded window, without the padding.

    Args:
        result: `WindowResult`.
        rows: Rows of the window before padding.
        new: How many of its timesteps have outputs.
        timed: Whether outputs have a time axis.
        at_front: Whether the padding comes before the window's timesteps.
    """

    def cut_rows(tensor: Tensor | None) -> Tensor | None:
        return None if tensor is None else tensor[:rows]

    def cut(tensor: Tensor | None) -> Tensor | None:
        if tensor is None or not timed:
            return cut_rows(tensor)
        start = tf.shape(tensor)[1] - new if at_front else 0
        return tensor[:rows, start : start + new]

    return result._replace(
        outputs=tf.nest.map_structure(cut, result.outputs),
        masks=tf.nest.map_structure(cut, result.masks),
        state=tf.nest.map_structure(cut_rows, result.state),
    )


def with_rows(state: State, missing: Tensor) -> State:
    """A named state with `missing` more rows of zeros."""

    def longer(leaf: Tensor) -> Tensor:
        around = [[0, missing], *[[0, 0]] * (leaf.shape.rank - 1)]
        padded = tf.pad(leaf, tf.convert_to_tensor(around))
        return tf.ensure_shape(padded, [None, *leaf.shape[1:]])

    return tf.nest.map_structure(longer, state)


def _next(sizes: list[int], size: Tensor) -> Tensor:
    """The smallest of `sizes` that is at least `size`, else the largest of them."""
    sizes = tf.constant(sizes)
    return tf.reduce_min(tf.where(sizes >= size, sizes, sizes[-1]))
