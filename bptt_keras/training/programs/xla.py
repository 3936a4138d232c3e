"""Finds out, without running a model, whether XLA can compile it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import tensorflow as tf

from bptt_keras.state import PureStep
from bptt_keras.tensorflow_internals import unknown_to_xla
from bptt_keras.training.programs.batch_like import AnyBatch, BatchLike
from bptt_keras.training.programs.whole_batch import WholeBatchProgram
from bptt_keras.training.programs.window import Programs
from bptt_keras.types import State

# For a window whose length or number of rows is not known yet.
_SOME_STEPS, _SOME_ROWS = 8, 2


def why_window_refused(
    programs: Programs, step: PureStep, batch: BatchLike, size: int | None, mode: str
) -> str | None:
    """Tries XLA on the program of one window.

    Args:
        programs: `Programs`, made with `xla=True`.
        step: The model's `PureStep`.
        batch: `Batch` that the programs are for.
        size: Timesteps of a window, or `None`: all of a batch.
        mode: `"fit"`, `"evaluate"` or `"predict"`.

    Returns:
        `None` if it compiles, else the reason in one line.
    """
    length, rows = batch.known_length, batch.inputs[0].shape[0]
    if rows and rows >= programs.shards:
        rows //= programs.shards
    steps = min(length or size or _SOME_STEPS, size or length or _SOME_STEPS)
    window, state = _example(batch, step, rows, steps)
    program = {
        "fit": programs.gradients,
        "evaluate": programs.evaluate,
        "predict": programs.predict,
    }[mode]
    return _why_refused(program, window, state, programs.buffer_values())


def why_batch_refused(
    whole_batch: WholeBatchProgram, step: PureStep, batch: BatchLike, steps: int
) -> str | None:
    """Tries XLA on the program of all windows of a batch.

    Args:
        whole_batch: The program.
        step: The model's `PureStep`.
        batch: `Batch` that it is for.
        steps: Timesteps that one call of it runs.

    Returns:
        `None` if it compiles without losing an assertion, else the reason in one line.
    """
    arguments = _example(batch, step, batch.inputs[0].shape[0], steps)
    refused = _why_refused(whole_batch.program, *arguments)
    if refused is None and _asserts(whole_batch.program, *arguments):
        return "XLA has no assertions, and a metric or the optimizer has some"
    return refused


def _example(
    batch: AnyBatch, step: PureStep, rows: int | None, steps: int
) -> tuple[AnyBatch, State]:
    """A batch of zeros with the known sizes of those that will come, and a state.

    Its trace can be reused for them.
    """
    rows, length = rows or _SOME_ROWS, batch.known_length

    def example(tensor):
        if tensor is None:
            return None
        shape = [rows, *tensor.shape[1:]]
        if len(shape) > 1 and shape[1] in (None, length):
            shape[1] = steps
        return tf.zeros(shape, tensor.dtype)

    constants = [tf.zeros([rows, *c.shape[1:]], c.dtype) for c in batch.constants]
    timed = batch.without_places()._replace(constants=())
    timed = tf.nest.map_structure(example, timed)
    return timed._replace(constants=constants), step.initial_state(rows)


def _asserts(program: Any, *args: Any) -> bool:
    """Whether the program, or a function that it calls, contains an assertion."""
    function = _outside(lambda: program.get_concrete_function(*args))
    graph = function.graph.as_graph_def()
    nodes = [graph.node, *(function.node_def for function in graph.library.function)]
    return any(node.op == "Assert" for of_graph in nodes for node in of_graph)


def _why_refused(program: Any, *args: Any) -> str | None:
    """Lowers a program to HLO; returns `None`, or why that is impossible."""
    # Tracing is outside the `try`: what fails there fails without XLA, too.
    lower = _outside(lambda: program.experimental_get_compiler_ir(*args))
    try:
        lower(stage="hlo")
    except (ValueError, NotImplementedError, tf.errors.OpError) as error:
        first = str(error).strip().splitlines()[0]
        unknown = unknown_to_xla(first)
        return first if unknown is None else f"XLA has no {unknown}"
    return None


def _outside(trace: Callable[[], Any]) -> Any:
    """Runs a function that traces, outside any `tf.init_scope`.

    An `init_scope` stops tapes, so a trace without gradients would be kept and reused
    for batches of this size. A separate thread has no such scope.
    """
    with ThreadPoolExecutor(max_workers=1) as executor:
        return executor.submit(trace).result()
