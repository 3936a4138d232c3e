"""The loop over the windows of a batch, as plain graph code.

XLA compiles the programs that the loop calls, but not the loop itself, unless it runs
inside `WholeBatchProgram`. So batches of any length reuse the program of a full window;
only a new length of the last, shorter window needs a new one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from bptt_keras.training.programs.batch_like import AnyBatch, BatchLike, Size
from bptt_keras.types import State, Structure, Tensor


def each_window(
    batch: BatchLike,
    state: Structure,
    size: int | None,
    body: Callable[..., tuple[Structure, Structure]],
    *,
    specs: Structure = None,
) -> tuple[Structure, Structure]:
    """Runs `body` on windows of one size, one after the other.

    Args:
        batch: `Batch` of `(batch, time, ...)` tensors.
        state: What windows pass on: named state at the start of the batch.
        size: Timesteps of a window, an integer, or `None`: the whole batch.
        body: Function `(window, state) -> (outputs, state)`, where `window` is a
            `Batch`.
        specs: Structure of `tf.TensorSpec`, `(None, None, ...)`, of the outputs, which
            are then joined along time. Default (`None`): outputs are not needed.

    Returns:
        `(outputs, state)`: outputs `(batch, time, ...)`, or `None`, and what the last
        window passed on.
    """
    flat_specs = [] if specs is None else tf.nest.flatten(specs)

    def run(start: Size, length: Size, state: Structure) -> tuple[list, Structure]:
        outputs, state = body(batch.cut(start, length), state)
        return (tf.nest.flatten(outputs) if flat_specs else []), state

    if size is None:
        piece, state = run(0, batch.length, state)
        return _concatenated([piece], specs), state
    count, rest = batch.length // size, batch.length % size
    pieces = []
    if isinstance(count, int) and count == 1:
        piece, state = run(0, size, state)
        pieces.append(piece)
    elif not isinstance(count, int) or count:
        piece, state = _full_windows(run, batch, size, count, state, flat_specs)
        pieces.append(piece)
    if not isinstance(rest, int):
        piece, state = tf.cond(
            rest > 0,
            lambda: run(count * size, rest, state),
            lambda: (_without_steps(batch, flat_specs), state),
        )
        pieces.append(piece)
    elif rest:
        piece, state = run(count * size, rest, state)
        pieces.append(piece)
    return _concatenated(pieces, specs), state


def _concatenated(pieces: list[list[Tensor]], specs: Structure) -> Structure:
    """Outputs concatenated along time, structured like their specifications."""
    if specs is None:
        return None
    flat = [t[0] if len(t) == 1 else tf.concat(t, 1) for t in zip(*pieces, strict=True)]
    return tf.nest.pack_sequence_as(specs, flat)


def _full_windows(
    run: Callable[..., tuple[list, Structure]],
    batch: BatchLike,
    size: int,
    count: Size,
    state: Structure,
    specs: list[tf.TensorSpec],
) -> tuple[list[Tensor], Structure]:
    """The outputs of `count` windows, joined along time, and what they pass on."""
    arrays = [
        tf.TensorArray(spec.dtype, count, element_shape=[None, size, *spec.shape[2:]])
        for spec in specs
    ]

    def one(index: Tensor, carried: tuple) -> tuple:
        arrays, state = carried
        outputs, state = run(index * size, size, state)
        pairs = zip(arrays, outputs, strict=True)
        return [array.write(index, output) for array, output in pairs], state

    arrays, state = _loop(count, one, (arrays, state))
    if isinstance(count, int):
        return [joined(array.stack()) for array in arrays], state
    # An array without elements does not know their number of rows.
    outputs = tf.cond(
        count > 0,
        lambda: [joined(array.stack()) for array in arrays],
        lambda: _without_steps(batch, specs),
    )
    return outputs, state


def _without_steps(batch: BatchLike, specs: list[tf.TensorSpec]) -> list[Tensor]:
    """Outputs with zero timesteps."""
    return [tf.zeros([batch.rows, 0, *spec.shape[2:]], spec.dtype) for spec in specs]


def each_span(
    spans: Tensor, rates: Tensor, state: State, body: Callable[..., State]
) -> State:
    """Runs `body` on windows that are planned while the step runs.

    Args:
        spans: Integers `(windows, 4)`: the fields of `truncation.Span` except the
            rate.
        rates: Floats `(windows,)`: factors of the learning rate.
        state: Named state at the start of the first window.
        body: Function `(start, first_new, stop, resume, rate, state) -> state`.

    Returns:
        The state from which the first window after these starts.
    """

    def one(index: Tensor, state: State) -> State:
        return body(*tf.unstack(spans[index], 4), rates[index], state)

    return _loop(tf.shape(spans)[0], one, state)


def before_last(batch: AnyBatch, start: Size) -> tuple[AnyBatch | None, AnyBatch]:
    """Cuts a batch into timesteps that only warm up the state, and its last window.

    Args:
        batch: `Batch` of `(batch, time, ...)` tensors.
        start: First timestep of the last window, an integer or a scalar tensor.

    Returns:
        `(before, last)`: `Batch` of the timesteps before the last window, `None` if
        there are known to be none, and `Batch` of that window.
    """
    last = batch.cut(start, batch.length - start, cut_targets=False)
    if isinstance(start, int) and start == 0:
        return None, last
    return batch.without_targets().cut(0, start), last


def align_ends(batch: AnyBatch, mask: Tensor) -> AnyBatch:
    """Moves padding from the end of each row to its start.

    So the last window contains the last valid timesteps of every row. The state does
    not change at masked timesteps, so this makes no other difference.

    Args:
        batch: `Batch` of `(batch, time, ...)` tensors, without flags inside.
        mask: Booleans `(batch, time)`, False where a row has no input.

    Returns:
        The `Batch` with its inputs rolled along time, row by row.
    """
    length = tf.shape(mask)[1]
    # Timesteps after the last valid one; a row without a valid one stays as it is.
    trailing = tf.argmax(tf.cast(mask[:, ::-1], tf.int32), 1, tf.int32)
    places = (tf.range(length)[None] - trailing[:, None]) % length

    def rolled(tensor: Tensor) -> Tensor:
        return tf.ensure_shape(tf.gather(tensor, places, batch_dims=1), tensor.shape)

    return batch._replace(
        inputs=tf.nest.map_structure(rolled, batch.inputs),
        valid=None if batch.valid is None else rolled(batch.valid),
    )


def _loop(count: Size, body: Callable[..., Structure], carried: Structure) -> Structure:
    """`carried = body(index, carried)` for `index` in `range(count)`."""
    invariants = tf.nest.map_structure(_any_rows, carried)
    return tf.while_loop(
        lambda index, _: index < count,
        lambda index, carried: (index + 1, body(index, carried)),
        (tf.constant(0), carried),
        shape_invariants=(tf.TensorShape([]), invariants),
        maximum_iterations=count,
    )[1]


def _any_rows(value: Any) -> tf.TensorShape | None:
    # The number of rows may be known for the tensors that enter an iteration but not
    # for those that leave it, which `tf.while_loop` refuses.
    if isinstance(value, tf.TensorArray):
        return None
    if value.shape.rank == 0:
        return value.shape
    return tf.TensorShape([None, *value.shape[1:]])


def joined(stacked: Tensor) -> Tensor:
    """`(windows, batch, steps, ...)` to `(batch, windows * steps, ...)`."""
    ordered = tf.transpose(stacked, [1, 0, *range(2, stacked.shape.rank)])
    shape = tf.shape(ordered)
    steps = shape[1] * shape[2]
    joint = tf.reshape(ordered, tf.concat([[shape[0], steps], shape[3:]], 0))
    joint.set_shape([None, None, *stacked.shape[3:]])
    return joint
