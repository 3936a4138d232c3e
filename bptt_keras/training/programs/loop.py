"""The loop over the windows of a batch, as plain graph code.

It is not compiled by XLA itself, but for `OneProgram`: the programs that it calls are.
So a batch of any length reuses the program of the full window, and only a new length of
the last, shorter window compiles a new one.
"""

import tensorflow as tf


def each_window(batch, state, size, body):
    """Runs `body` on windows of one size, one after the other.

    Args:
        batch: `Batch` of `(batch, time, ...)` tensors.
        state: Named state at its start.
        size: Timesteps of a window, an integer, or `None`: all that there are.
        body: Function `(window, state) -> state`, where `window` is a `Batch`.

    Returns:
        State after the last window.
    """
    if size is None:
        return body(batch.cut(0, batch.length), state)
    count, tail = batch.length // size, batch.length % size

    def full(index, state):
        return body(batch.cut(index * size, size), state)

    if isinstance(count, int) and count == 1:
        state = full(0, state)
    elif not isinstance(count, int) or count:
        state = _loop(count, full, state)

    def short():
        return body(batch.cut(count * size, tail), state)

    if isinstance(tail, int):
        return short() if tail else state
    return tf.cond(tail > 0, short, lambda: state)


def each_span(spans, rates, state, body):
    """Runs `body` on the windows of a plan that only the running step knows.

    Args:
        spans: Integers `(windows, 4)`: the fields of `truncation.Span` but for the
            rate.
        rates: Floats `(windows,)`: factors of the learning rate.
        state: Named state at the start of the first window.
        body: Function `(start, first_new, stop, resume, rate, state) -> state`.

    Returns:
        State where the first window after the plan resumes.
    """

    def one(index, state):
        return body(*tf.unstack(spans[index], 4), rates[index], state)

    return _loop(tf.shape(spans)[0], one, state)


def collect_windows(batch, state, size, body, specs):
    """Like `each_window`, and joins what the windows put out along time.

    Args:
        batch: `Batch` of `(batch, time, ...)` tensors.
        state: Named state at its start.
        size: Timesteps of a window, an integer, or `None`: all that there are.
        body: Function `(window, state) -> (outputs, state)`.
        specs: Structure of `tf.TensorSpec` of the outputs, `(None, None, ...)`.

    Returns:
        `(outputs, state)`; outputs `(batch, time, ...)`.
    """
    if size is None:
        return body(batch.cut(0, batch.length), state)
    count, tail = batch.length // size, batch.length % size
    flat_specs = tf.nest.flatten(specs)
    arrays = [
        tf.TensorArray(spec.dtype, count, element_shape=[None, size, *spec.shape[2:]])
        for spec in flat_specs
    ]

    def full(index, carried):
        arrays, state = carried
        outputs, state = body(batch.cut(index * size, size), state)
        arrays = [
            array.write(index, output)
            for array, output in zip(arrays, tf.nest.flatten(outputs), strict=True)
        ]
        return arrays, state

    parts = [[] for _ in flat_specs]
    if not isinstance(count, int) or count:
        arrays, state = _loop(count, full, (arrays, state))
        for part, array, spec in zip(parts, arrays, flat_specs, strict=True):
            part.append(_stacked(array, batch, count, spec))

    def short():
        outputs, after = body(batch.cut(count * size, tail), state)
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


def _stacked(array, batch, count, spec):
    """The outputs of `count` windows, joined along time."""
    if isinstance(count, int):
        return joined(array.stack())
    # An array without elements does not know how many rows they would have.
    return tf.cond(
        count > 0,
        lambda: joined(array.stack()),
        lambda: tf.zeros([batch.rows, 0, *spec.shape[2:]], spec.dtype),
    )


def before_last(batch, start):
    """Cuts a batch into what only warms the state up, and its last window.

    Args:
        batch: `Batch` of `(batch, time, ...)` tensors.
        start: First timestep of the last window, an integer or a scalar tensor.

    Returns:
        `(lead, last)`: `Batch` of the timesteps before it, `None` if it is known that
        there are none, and `Batch` of the others.
    """
    last = batch.cut(start, batch.length - start, cut_targets=False)
    if isinstance(start, int) and start == 0:
        return None, last
    lead = batch.without_targets().cut(0, start)
    return lead, last


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

    def rolled(tensor):
        return tf.ensure_shape(tf.gather(tensor, places, batch_dims=1), tensor.shape)

    return batch._replace(
        inputs=tf.nest.map_structure(rolled, batch.inputs),
        valid=None if batch.valid is None else rolled(batch.valid),
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
    if value.shape.rank == 0:
        return value.shape
    return tf.TensorShape([None, *value.shape[1:]])


def joined(stacked):
    """`(windows, batch, steps, ...)` to `(batch, windows * steps, ...)`."""
    ordered = tf.transpose(stacked, [1, 0, *range(2, stacked.shape.rank)])
    shape = tf.shape(ordered)
    steps = shape[1] * shape[2]
    joint = tf.reshape(ordered, tf.concat([[shape[0], steps], shape[3:]], 0))
    joint.set_shape([None, None, *stacked.shape[3:]])
    return joint
