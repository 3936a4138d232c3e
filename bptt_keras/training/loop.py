"""The loop over the windows of a batch, as plain graph code.

It is not compiled by XLA itself: the programs that it calls are. So a batch of any
length reuses the program of the full window, and only a new length of the last,
shorter window compiles a new one.
"""

import tensorflow as tf


def each_window(batch, state, truncation, body):
    """Runs `body` on every window of a batch, in order.

    Args:
        batch: `Batch` of `(batch, time, ...)` tensors.
        state: Named state at its start.
        truncation: `FixedWindow`.
        body: Function `(window, state) -> state`, where `window` is a `Batch`.

    Returns:
        State after the last window.
    """
    size = truncation.window
    count, tail = truncation.count(batch.length), truncation.tail(batch.length)

    def full(index, state):
        return body(batch.steps(index * size, size), state)

    if isinstance(count, int) and count == 1:
        state = full(0, state)
    elif not isinstance(count, int) or count:
        state = _loop(count, full, state)

    def short():
        return body(batch.steps(count * size, tail), state)

    if isinstance(tail, int):
        return short() if tail else state
    return tf.cond(tail > 0, short, lambda: state)


def collect_windows(batch, state, truncation, body, specs):
    """Like `each_window`, and joins what the windows put out along time.

    Args:
        batch: `Batch` of `(batch, time, ...)` tensors.
        state: Named state at its start.
        truncation: `FixedWindow`.
        body: Function `(window, state) -> (outputs, state)`.
        specs: Structure of `tf.TensorSpec` of the outputs, `(None, None, ...)`.

    Returns:
        `(outputs, state)`; outputs `(batch, time, ...)`.
    """
    size = truncation.window
    count, tail = truncation.count(batch.length), truncation.tail(batch.length)
    flat_specs = tf.nest.flatten(specs)
    arrays = [
        tf.TensorArray(spec.dtype, count, element_shape=[None, size, *spec.shape[2:]])
        for spec in flat_specs
    ]

    def full(index, carried):
        arrays, state = carried
        outputs, state = body(batch.steps(index * size, size), state)
        arrays = [
            array.write(index, output)
            for array, output in zip(arrays, tf.nest.flatten(outputs), strict=True)
        ]
        return arrays, state

    parts = [[] for _ in flat_specs]
    if not isinstance(count, int) or count:
        arrays, state = _loop(count, full, (arrays, state))
        for part, array in zip(parts, arrays, strict=True):
            part.append(_joined(array.stack()))

    def short():
        outputs, after = body(batch.steps(count * size, tail), state)
        return tf.nest.flatten(outputs), after

    def nothing():
        empty = [tf.zeros([batch.rows, 0, *s.shape[2:]], s.dtype) for s in flat_specs]
        return empty, state

    if not isinstance(tail, int) or tail:
        static = isinstance(tail, int)
        rest, state = short() if static else tf.cond(tail > 0, short, nothing)
        for part, output in zip(parts, rest, strict=True):
            part.append(output)
    outputs = [part[0] if len(part) == 1 else tf.concat(part, 1) for part in parts]
    return tf.nest.pack_sequence_as(specs, outputs), state


def before_last(batch, truncation):
    """Cuts a batch into what only warms the state up, and its last window.

    Args:
        batch: `Batch` of `(batch, time, ...)` tensors.
        truncation: `FixedWindow`.

    Returns:
        `(lead, last)`: `Batch` of the first `max(T - window, 0)` timesteps, `None` if
        there are none, and `Batch` of the others.
    """
    size, length = truncation.window, batch.length
    if isinstance(length, int):
        lead = max(length - size, 0)
        last = batch.steps(lead, length - lead, cut_targets=False)
        return (batch.steps(0, lead, cut_targets=False) if lead else None), last
    lead = tf.maximum(length - size, 0)
    last = batch.steps(lead, length - lead, cut_targets=False)
    return batch.steps(0, lead, cut_targets=False), last


def align_ends(batch, mask):
    """Moves padding from the end of each row to its start.

    So the last window holds the last timesteps of every row, as if the row were
    alone. Masked steps hold the state, so it makes no other difference.

    Args:
        batch: `Batch` of `(batch, time, ...)` tensors, without flags inside.
        mask: Booleans `(batch, time)`, False where a row has no input.

    Returns:
        The `Batch` with its inputs rolled along time, row by row.
    """
    length = tf.shape(mask)[1]
    # Steps after the last valid one; a row without any stays as it is.
    trailing = tf.argmax(tf.cast(mask[:, ::-1], tf.int32), 1, tf.int32)
    places = (tf.range(length)[None] - trailing[:, None]) % length
    return batch._replace(
        inputs=tf.nest.map_structure(
            lambda t: tf.ensure_shape(tf.gather(t, places, batch_dims=1), t.shape),
            batch.inputs,
        )
    )


def _loop(count, body, carried):
    """`carried = body(index, carried)` for `index` in `range(count)`."""
    invariants = tf.nest.map_structure(_any_rows, carried)
    return tf.while_loop(
        lambda index, _: index < count,
        lambda index, carried: (index + 1, body(index, carried)),
        (tf.constant(0), carried),
        shape_invariants=(tf.TensorShape([]), invariants),
        maximum_iterations=count,
    )[1]


def _any_rows(value):
    # The number of rows may be known to the tensors that come and not to those that
    # go, which `tf.while_loop` refuses.
    if isinstance(value, tf.TensorArray):
        return None
    return tf.TensorShape([None, *value.shape[1:]])


def _joined(stacked):
    """`(windows, batch, steps, ...)` to `(batch, windows * steps, ...)`."""
    rank = stacked.shape.rank
    ordered = tf.transpose(stacked, [1, 0, *range(2, rank)])
    shape = tf.shape(ordered)
    steps = shape[1] * shape[2]
    return tf.reshape(ordered, tf.concat([[shape[0], steps], shape[3:]], 0))
