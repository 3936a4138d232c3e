"""`memory`: the memory that training takes on sequences of several lengths."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.arguments import whole
from bptt_keras.diagnostics.measuring.data import map_timed
from bptt_keras.diagnostics.measuring.memory_use import MemoryUse
from bptt_keras.diagnostics.measuring.peak import peak_memory
from bptt_keras.diagnostics.measuring.problem import Problem
from bptt_keras.keras_internals import given_loss
from bptt_keras.training.trainer import TruncatedBPTT
from bptt_keras.types import Tensor

METHODS = ("full", "sqrt", "windows")


def memory(
    model: keras.Model,
    data: Any,
    lengths: Iterable[int] = (256, 512, 1024, 2048),
    *,
    methods: str | Sequence[str] = METHODS,
    window: int | None = None,
    loss: Any = None,
) -> MemoryUse:
    """Measures the peak memory of one update by length of sequences and by method.

        "full":     TruncatedBPTT(model, window=None)
        "sqrt":     TruncatedBPTT(model, window=None, recompute="sqrt")
        "windows":  TruncatedBPTT(model, window=window)

    Each method runs `train_on_batch` on the rows of the data with SGD and a learning
    rate of 0, all rows in one shard. The memory of the batch itself is not counted.
    Each length and method compiles its own program, which takes seconds.

    Args:
        model: A `TruncatedBPTT` or another built `keras.Model` that `PureStep` takes,
            with one output. Its weights do not change.
        data: `(x, y)`, arrays `(rows, time, ...)`; or a `tf.data.Dataset` of such
            batches, of which the first is used. They are repeated along time as far as
            needed.
        lengths: Timesteps, at least three integers >= 1.
        methods: The methods to measure, one name or several.
        window: Timesteps of the windows. Default (`None`): that of the trainer, or 64.
        loss: As for `compile`. Default (`None`): the one that `model` was compiled
            with.

    Returns:
        `MemoryUse`.

    Raises:
        RuntimeError: On a CPU under a system other than Linux.
        TypeError: If `model` or an argument is of the wrong type.
        ValueError: If an argument is out of range, or the data are unsuitable.

    Example:
        import keras, numpy as np, bptt_keras as bk

        model = keras.Sequential([
            keras.layers.Input((None, 1)),
            bk.layers.GRU(8, return_sequences=True),
            keras.layers.Dense(1),
        ])
        x = np.zeros((16, 50, 1), "float32")
        use = bk.diagnostics.memory(
            model, (x, x), [100, 200, 400], loss="mse", methods="windows", window=50
        )
        print(use)                         # with "full": what fits into 8 GiB

    Source: Chen, Xu, Zhang & Guestrin, "Training deep nets with sublinear memory cost"
    (2016), for the square root.
    """
    methods = [methods] if isinstance(methods, str) else list(methods)
    if not methods or set(methods) - set(METHODS):
        raise ValueError(f"`methods` must be of {METHODS}. Received: {methods}.")
    lengths = sorted({whole("lengths", length) for length in lengths})
    if len(lengths) < 3:
        raise ValueError(
            f"`lengths` must be three at least: two make the law, one checks it. "
            f"Received: lengths={lengths}."
        )
    problem = Problem(model, data, loss, steps=lengths[-1], asked_by="memory")
    trained = problem.step.model
    if window is None:
        given = model.truncation.window if isinstance(model, TruncatedBPTT) else None
        window = given or 64
    window = whole("window", window)
    chosen = given_loss(model) if loss is None else loss
    before = [tf.identity(v.value) for v in trained.variables]
    try:
        measured: dict[str, list[float]] = {}
        for method in methods:
            measured[method] = []
            for length in lengths:
                # One trainer of windows serves all lengths; the others serve one each.
                if method != "windows" or length == lengths[0]:
                    trainer = _trainer(method, trained, window, chosen)
                measured[method].append(_peak(trainer, problem, length))
    finally:
        for variable, value in zip(trained.variables, before, strict=True):
            variable.assign(value)
    return MemoryUse(lengths, measured, window)


def _trainer(method: str, model: keras.Model, window: int, loss: Any) -> TruncatedBPTT:
    trainer = TruncatedBPTT(
        model,
        window=window if method == "windows" else None,
        recompute="sqrt" if method == "sqrt" else None,
        shards=1,
        live_metrics=False,
    )
    trainer.compile(keras.optimizers.SGD(0.0), loss)
    return trainer


def _peak(trainer: TruncatedBPTT, problem: Problem, length: int) -> float:
    x = map_timed(problem.step.model, lambda a: _repeated(a, length), problem.x)
    y = _repeated(problem.y, length) if problem.timed else problem.y
    trainer.train_on_batch(x, y)
    return peak_memory(lambda: trainer.train_on_batch(x, y))


def _repeated(tensor: Tensor, length: int) -> Tensor:
    """Repeats the timesteps up to a length: `(rows, length, ...)`."""
    return tf.gather(tensor, tf.range(length) % tensor.shape[1], axis=1)
