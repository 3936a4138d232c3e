"""Windows of odd sizes, padded to a few: XLA compiles a program for each size.

Padding is not valid, so it holds the state and weighs nothing.
"""

import tensorflow as tf

from bptt_keras.training.programs.window import Window

_POWERS = [1 << power for power in range(31)]


class Sizes:
    """The few sizes that windows are padded to.

    A shorter window gets the timesteps of one to four quarters of the longest. Where
    numbers of rows vary, a batch with fewer than one before it gets those of the next
    power of two, or as many as the largest.

    Args:
        usual: Timesteps of a window that is cut from within a batch, or `None`: a
            window is a whole batch, and keeps its length.
        longest: Timesteps of the longest window, likewise.
        on: Whether anything is padded. It is not worth it without XLA, and does harm
            where a model counts padding.

    Attributes:
        rows_vary: Whether the trace that is made is for many numbers of rows.
    """

    def __init__(self, usual, longest, on):
        self._usual = usual
        self._longest = longest
        self.on = on
        self.rows_vary = False
        with tf.init_scope():
            self._most_rows = tf.Variable(0, trainable=False)

    def see(self, batch):
        """Notes the rows of a batch before its windows run."""
        if self._pads_rows(batch):
            most = tf.maximum(self._most_rows.read_value(), batch.rows)
            self._most_rows.assign(most)

    def wanted(self, window, *, steps=True):
        """`(timesteps, rows)` that a window is padded to, `None` for what it has."""
        if not self.on:
            return None, None
        length = self._steps(window.length) if steps else window.length
        same = isinstance(length, int) and length == window.length
        rows = self._rows(window.rows) if self._pads_rows(window) else None
        return None if same else length, rows

    def _pads_rows(self, batch):
        return self.on and self.rows_vary and batch.inputs[0].shape[0] is None

    def _steps(self, length):
        longest = self._longest
        if longest is None or (isinstance(length, int) and length == self._usual):
            return length
        sizes = sorted({-(-longest * quarters // 4) for quarters in (1, 2, 3, 4)})
        if isinstance(length, int):
            return next((size for size in sizes if size >= length), length)
        return _next(sizes, length)

    def _rows(self, rows):
        most = self._most_rows.read_value()
        return tf.maximum(rows, tf.minimum(_next(_POWERS, rows), most))


def run_padded(programs, run, window, state, *, timed, at_front=False):
    """What a program makes of a window, padded if need be.

    Args:
        programs: `Programs`, whose `sizes` say to what.
        run: Function `(window, state)`.
        window: `Batch`.
        state: Named state.
        timed: Whether outputs and targets have a time axis.
        at_front: Whether padding comes before the window's timesteps.

    Returns:
        What `run` returns, without what came of the padding.
    """
    length, rows = programs.sizes.wanted(window)
    if length is None and rows is None:
        return run(window, state)
    given, has = window.length, window.rows

    def padded():
        longer = window.padded_to(
            given if length is None else length,
            rows=rows,
            timed_targets=timed,
            at_front=at_front,
        )
        more = state if rows is None else with_rows(state, rows - has)
        return cut_window(run(longer, more), has, given, timed=timed, at_front=at_front)

    if length is not None or window.valid is not None:
        return padded()
    return tf.cond(rows > has, padded, lambda: run(window, state))


def cut_window(result, rows, new, *, timed, at_front=False):
    """What came out of a padded window, without what came of the padding.

    Args:
        result: `programs.Window`, or `(outputs, state, buffers, ids_valid)`.
        rows: Rows that the window had.
        new: Timesteps of it that have outputs.
        timed: Whether outputs have a time axis.
        at_front: Where the padding was.
    """

    def cut_rows(tensor):
        return None if tensor is None else tensor[:rows]

    def cut(tensor):
        if tensor is None or not timed:
            return cut_rows(tensor)
        start = tf.shape(tensor)[1] - new if at_front else 0
        return tensor[:rows, start : start + new]

    def each(function, tree):
        return tf.nest.map_structure(function, tree)

    if isinstance(result, Window):
        return result._replace(
            outputs=each(cut, result.outputs),
            masks=each(cut, result.masks),
            state=each(cut_rows, result.state),
        )
    outputs, state, *rest = result
    return each(cut, outputs), each(cut_rows, state), *rest


def with_rows(state, missing):
    """A named state with zeros for more rows."""

    def longer(leaf):
        around = [[0, missing], *[[0, 0]] * (leaf.shape.rank - 1)]
        padded = tf.pad(leaf, tf.convert_to_tensor(around))
        return tf.ensure_shape(padded, [None, *leaf.shape[1:]])

    return tf.nest.map_structure(longer, state)


def _next(sizes, size):
    """The smallest of some sizes that is not below one, or the largest."""
    sizes = tf.constant(sizes)
    return tf.reduce_min(tf.where(sizes >= size, sizes, sizes[-1]))
