"""Whether a model compiles with XLA, found out without running it."""

import re
from concurrent.futures import ThreadPoolExecutor

import tensorflow as tf

# Of a window whose length, or number of rows, nobody knows yet.
_SOME_STEPS, _SOME_ROWS = 8, 2


def compiles(programs, step, batch, size, use, shards):
    """Lowers the program of one window to XLA's language.

    The window is like those to come wherever their sizes are known, so that its trace
    serves for them, too.

    Args:
        programs: `Programs`, made with `xla=True`.
        step: The model's `PureStep`.
        batch: `Batch` that the programs are meant for.
        size: Timesteps of a window, or `None`: all of a batch.
        use: `"fit"`, `"evaluate"` or `"predict"`.
        shards: Number of programs that the rows are spread over.

    Returns:
        `None` if it compiles, else the reason in one line.
    """
    length, known_rows = batch.known_length, batch.inputs[0].shape[0]
    rows = known_rows or _SOME_ROWS
    if known_rows and known_rows >= shards:
        rows = known_rows // shards
    steps = min(length or size or _SOME_STEPS, size or length or _SOME_STEPS)

    def example(tensor):
        if tensor is None:
            return None
        shape = [rows, *tensor.shape[1:]]
        if len(shape) > 1 and shape[1] in (None, length):
            shape[1] = steps
        return tf.zeros(shape, tensor.dtype)

    program = {
        "fit": programs.gradients,
        "evaluate": programs.evaluate,
        "predict": programs.predict,
    }[use]
    inside = batch.reset is not None and batch.reset.shape.rank == 2
    window = batch._replace(
        reset=batch.reset if inside else None, position=None, key=None
    )
    window = tf.nest.map_structure(example, window)
    state = step.initial_state(rows)

    def trace():
        return program.experimental_get_compiler_ir(
            window, state, programs.buffer_values()
        )

    # Tracing stands outside: what it refuses, it refuses with XLA and without. It has
    # a thread of its own because `tf.init_scope`, which this runs in, stops tapes: a
    # trace without gradients would be kept and used for a batch of that many rows.
    with ThreadPoolExecutor(max_workers=1) as executor:
        lower = executor.submit(trace).result()
    try:
        lower(stage="hlo")
    except (ValueError, NotImplementedError, tf.errors.OpError) as error:
        first = str(error).strip().splitlines()[0]
        found = re.search(r"on XLA_\w+: (\w+)", first)
        return f"XLA has no {found.group(1)}" if found else first
    return None
