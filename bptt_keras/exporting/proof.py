"""Runs an exported step in its runtime, and compares it with Keras."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from bptt_keras.exporting.errors import Differs
from bptt_keras.exporting.ports import Port
from bptt_keras.exporting.step import ExportedStep, Runner
from bptt_keras.state.examining.by_running import made_up_inputs
from bptt_keras.types import Structure

# Timesteps of a proof: the state is reset after the first number of them.
STEPS, RESET_AFTER = 120, 77
# Pieces that the timesteps come in, again and again, if any number may.
_PIECES = (1, 7, 3, 13, 2, 1, 29)
# Rows of a proof, if there may be any number.
_ROWS = 3
# Allowed difference, relative to the largest value of an output if that is above 1; and
# the most for a model that amplifies rounding errors.
TOLERANCES = {"float64": 1e-5, "float32": 1e-5, "bfloat16": 0.02, "float16": 0.02}
_TIMES, _MOST = 10, 1e-2


class Proof(NamedTuple):
    """What a proof showed.

    Fields:
        rows: Number of rows.
        timesteps: Number of timesteps that each row ran.
        difference: The largest difference to Keras, relative to the largest value of an
            output if that is above 1.
        allowed: The largest one that was allowed.
    """

    rows: int
    timesteps: int
    difference: float
    allowed: float


def prove(step: ExportedStep, run: Runner, *, keeps: Runner | None = None) -> Proof:
    """Compares a file with plain Keras, through pieces of a sequence and a reset.

        outputs of the file, piece by piece  =  model(whole sequence)

    After some pieces, rows are reset: every other one by flags if the step takes them,
    all by handing over the initial state if it does not, or through `keeps`.

    Some models amplify rounding errors from step to step. If a difference is above its
    tolerance, the model itself runs once more in a graph, and once compiled by XLA,
    which round elsewhere. Ten times the largest distance between Keras and Keras is
    then allowed, and 1e-2 at most.

    Args:
        step: The step.
        run: Runs the file.
        keeps: For a file that keeps the state itself: resets the rows that are flagged.

    Returns:
        `Proof`.

    Raises:
        Differs: If an output is not finite or differs by more than is allowed.
    """
    rows = step.rows or _ROWS
    cuts = list(_cuts(step))
    total = cuts[-1][1]
    inputs = _inputs(step, rows, total)
    flags = np.ones(rows, bool)
    if step.reset is not None or keeps is not None:
        flags[1::2] = False
    middle = next(start for start, _ in cuts if start >= RESET_AFTER)
    received = _run(step, run, keeps, inputs, cuts, middle, flags)
    whole = functools.partial(_expected, step, inputs, middle, total, flags)
    expected = whole(step.pure.model)
    worst, allowed = 0.0, min(TOLERANCES.values())
    compiled = None
    for place, (port, timed) in enumerate(
        zip(step.outputs, step.outputs_timed, strict=True)
    ):
        tolerance = TOLERANCES.get(port.dtype.name, 0.0)
        for pieces, wanted in zip(received, expected, strict=True):
            got = np.concatenate(pieces[place], 1) if timed else pieces[place][-1]
            found = _difference(port, got, wanted[place])
            if found > tolerance:
                compiled = compiled or [whole(other) for other in _compiled(step)]
                spread = max(
                    _difference(port, other[place], one[place])
                    for outputs in compiled
                    for other, one in zip(outputs, expected, strict=True)
                )
                tolerance = max(tolerance, min(_TIMES * spread, _MOST))
            if found > tolerance:
                raise Differs(
                    f"output {port.name!r} differs from that of Keras by {found:.2g}, "
                    f"and {tolerance:.2g} is allowed"
                )
            worst = max(worst, found)
        allowed = max(allowed, tolerance)
    return Proof(rows, total, worst, allowed)


def _cuts(step: ExportedStep) -> Iterator[tuple[int, int]]:
    """Where pieces start and stop."""
    start = piece = 0
    while start < STEPS:
        stop = start + (step.timesteps or _PIECES[piece % len(_PIECES)])
        yield start, stop
        start, piece = stop, piece + 1


def _inputs(step: ExportedStep, rows: int, length: int) -> list[np.ndarray]:
    """Flat arrays, made up or repeated from the example."""
    if step.example is None:
        made = made_up_inputs(step.pure.model, step.specs, rows=rows, length=length)
        flat = [np.asarray(t) for t in tf.nest.flatten(made)]
    else:
        flat = [
            _repeated(np.asarray(array), (rows, length) if timed else (rows,))
            for array, timed in zip(step.example, step.timed, strict=True)
        ]
    return [
        array.astype(port.dtype.as_numpy_dtype)
        for array, port in zip(flat, step.inputs, strict=True)
    ]


def _repeated(array: np.ndarray, sizes: tuple[int, ...]) -> np.ndarray:
    for axis, size in enumerate(sizes):
        array = np.take(array, np.arange(size) % array.shape[axis], axis)
    return array


def _run(
    step: ExportedStep,
    run: Runner,
    keeps: Runner | None,
    inputs: list[np.ndarray],
    cuts: list[tuple[int, int]],
    middle: int,
    flags: np.ndarray,
) -> list[list[list[np.ndarray]]]:
    """Outputs of the pieces before and after the reset: by time, output and piece."""
    rows = len(flags)
    state = dict(
        zip((s.enters.name for s in step.states), step.initial(rows), strict=True)
    )
    received: list[list[list[np.ndarray]]] = [[[] for _ in step.outputs] for _ in "ab"]
    for start, stop in cuts:
        values = {
            port.name: array[:, start:stop] if timed else array
            for port, array, timed in zip(step.inputs, inputs, step.timed, strict=True)
        }
        now = start == middle
        if keeps is not None:
            if now:
                keeps({"rows": flags})
        elif step.reset is not None:
            values[step.reset.name] = flags & now
        elif now:
            state = dict(zip(state, step.initial(rows), strict=True))
        results = run(values if keeps is not None else {**values, **state})
        for port, pieces in zip(step.outputs, received[start >= middle], strict=True):
            pieces.append(results[port.name])
        if keeps is None:
            state = {s.enters.name: results[s.leaves.name] for s in step.states}
    return received


def _expected(
    step: ExportedStep,
    inputs: list[np.ndarray],
    middle: int,
    total: int,
    flags: np.ndarray,
    model: Callable[..., Structure],
) -> list[list[np.ndarray]]:
    """Outputs of Keras before the reset, and after it, each in one call."""
    before, gone_on, afresh = (
        _keras(step, model, inputs, start, stop)
        for start, stop in ((0, middle), (0, total), (middle, total))
    )
    after = []
    for old, new, timed in zip(gone_on, afresh, step.outputs_timed, strict=True):
        rows = flags.reshape(-1, *[1] * (new.ndim - 1))
        after.append(np.where(rows, new, old[:, middle:] if timed else old))
    return [before, after]


def _keras(
    step: ExportedStep,
    model: Callable[..., Structure],
    inputs: list[np.ndarray],
    start: int,
    stop: int,
) -> list[np.ndarray]:
    """Outputs of the Keras model itself in one call over some timesteps."""
    flat = [
        tf.constant(array[:, start:stop] if timed else array)
        for array, timed in zip(inputs, step.timed, strict=True)
    ]
    return [np.array(t) for t in tf.nest.flatten(model(step.pack(flat)))]


def _compiled(step: ExportedStep) -> list[Callable[..., Structure]]:
    """The model in a graph; and by XLA, or as it is if XLA does not compile it."""
    model = step.pure.model
    graph = tf.function(lambda x: model(x), autograph=False)
    compiled = tf.function(lambda x: model(x), jit_compile=True, autograph=False)

    def run(inputs: Structure) -> Structure:
        try:
            return compiled(inputs)
        except tf.errors.OpError:
            return model(inputs)

    return [graph, run]


def _difference(port: Port, got: np.ndarray, want: np.ndarray) -> float:
    """The largest difference, relative to the largest value if that is above 1.

    Raises:
        Differs: If the shapes differ, or `got` is not finite.
    """
    if got.shape != want.shape:
        raise Differs(
            f"output {port.name!r} has the shape {got.shape}, in Keras {want.shape}"
        )
    if not port.dtype.is_floating:
        return float(not np.array_equal(got, want))
    got, want = got.astype("float64"), want.astype("float64")
    if not np.isfinite(got).all():
        raise Differs(f"output {port.name!r} is not finite")
    return float(np.abs(got - want).max() / max(1.0, np.abs(want).max()))


def check_holds_weights(step: ExportedStep, path: Path) -> None:
    """Raises if a file is too small to hold the weights that its step reads.

    Raises:
        Differs: If so.
    """
    used: tuple[Any, ...] = step.function.get_concrete_function().variables
    needed = sum(int(np.prod(v.shape)) * v.dtype.size for v in used)
    files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
    size = sum(file.stat().st_size for file in files)
    # Weights that are only used together, such as two biases, may become one.
    if size < 0.9 * needed:
        raise Differs(f"it has {size:,} bytes, and the weights have {needed:,}")
