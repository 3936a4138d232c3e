"""Runs a window as several parallel calls of a program, each with some of the rows.

On a CPU, XLA runs a program step by step, and the small matrix products of a recurrence
do not occupy several cores. Two programs do not wait for each other. If a step is very
short, starting two programs costs more than it saves.
"""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.arguments import is_whole
from bptt_keras.backend import has_gpu
from bptt_keras.keras_internals import all_layers
from bptt_keras.state import ModelTraits
from bptt_keras.training.measures.averages import Term
from bptt_keras.training.programs.batch_like import BatchLike
from bptt_keras.training.programs.result import WindowResult
from bptt_keras.types import State, Structure, Tensor

# Rows times weights multiplied in a timestep: below this, two programs were not faster
# than one for a whole batch (`tests.benchmarks.shards`).
_SMALL = {"fit": 1_000_000, "evaluate": 400_000, "predict": 400_000}

# Seeds of the shards differ by multiples of this, so they draw different masks.
_SEED_STRIDE = 1_000_003


def choose_shards(
    requested: int | str, traits: ModelTraits, *, fills: bool = False
) -> tuple[int, str | None]:
    """Chooses the number of shards of a window.

    Args:
        requested: `"auto"` or an integer >= 1.
        traits: `state.ModelTraits` of the model.
        fills: Whether one program keeps all cores busy (`fills_cores`).

    Returns:
        `(shards, reason)`: the reason is `None`, or why there is only one shard.

    Raises:
        ValueError: If several were asked for, but rows of this model depend on one
            another.
    """
    reason = None
    if traits.why_rows_depend:
        reason = f"rows depend on one another: {traits.why_rows_depend}"
    if isinstance(requested, str):
        if reason is None and has_gpu():
            reason = "a GPU fills itself"
        if reason is None and fills:
            reason = "the native kernel uses all cores"
        return (1 if reason else min(2, cores())), reason
    if requested > 1 and reason:
        raise ValueError(
            f"The batch of this model cannot be cut into shards: {reason}. Received: "
            f"shards={requested}. Leave it at 'auto'."
        )
    return requested, reason


def cores() -> int:
    """Number of cores that this process may use, considering its CPU affinity."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def fills_cores(layers: Iterable[keras.Layer], *, xla: bool) -> bool:
    """Whether one program keeps all cores busy: its kernels share out their own work.

    Shards would only add the sum of their gradients.

    Args:
        layers: The model's recurrent layers.
        xla: Whether XLA compiles them.
    """
    kernels = [getattr(layer, "kernel_of", None) for layer in layers]
    return bool(kernels) and all(
        kernel is not None and kernel(xla=xla) == "native" for kernel in kernels
    )


def is_small(model: keras.Model, rows: int | None, mode: str) -> bool:
    """Whether one program for a whole batch was measured to be faster than two shards.

    Args:
        model: A built `keras.Model`.
        rows: Rows of a batch, an integer, or `None` if unknown.
        mode: `"fit"`, `"evaluate"` or `"predict"`.
    """
    weights = _multiplied(model)
    if rows is None or weights is None or has_gpu():
        return False
    return rows * weights < _SMALL[mode]


def _multiplied(model: keras.Model) -> int | None:
    """Number of a model's weights that multiply a row in a timestep.

    It is `None` for a model with convolutions, which use each weight at many places.
    """
    tables = {
        id(weight)
        for layer in all_layers(model)
        if isinstance(layer, keras.layers.Embedding)
        for weight in layer.weights
    }
    shapes = [tuple(w.shape) for w in model.weights if id(w) not in tables]
    if any(len(shape) > 2 for shape in shapes):
        return None
    return sum(math.prod(shape) for shape in shapes if len(shape) == 2)


def run_sharded(
    program: Callable[..., WindowResult],
    window: BatchLike,
    state: State,
    buffers: list[Tensor],
    shards: int,
    *extra: Tensor,
) -> WindowResult:
    """Runs a program on a window, whose rows are split over several calls.

    Args:
        program: Function `(window, state, buffers, *extra) -> WindowResult`.
        window: `Batch` of one window.
        state: Named state.
        buffers: Values of the model's buffers, all of them random seeds if there is
            more than one shard.
        shards: Number of calls; a window with fewer rows is not split.
        *extra: Further arguments of the program, the same for all shards.

    Returns:
        What the program returns, as if it had run once.
    """
    # Only metrics need `counts`, and they run outside the program.
    window = window._replace(counts=None, share=None)
    known = window.inputs[0].shape[0]
    if shards == 1 or (known is not None and known < shards):
        return program(window, state, buffers, *extra)

    def several() -> WindowResult:
        return _join(_results(program, window, state, buffers, shards, extra))

    if known is not None:
        return several()
    return tf.cond(
        window.rows < shards,
        lambda: program(window, state, buffers, *extra),
        several,
    )


def check_shards(shards: Any) -> None:
    """Raises if `shards` is neither `"auto"` nor an integer >= 1."""
    if shards != "auto" and not (is_whole(shards) and shards >= 1):
        raise ValueError(
            f"`shards` must be 'auto' or an integer >= 1. Received: shards={shards!r}."
        )


def _results(
    program: Callable[..., WindowResult],
    window: BatchLike,
    state: State,
    buffers: list[Tensor],
    shards: int,
    extra: Sequence[Tensor],
) -> list[WindowResult]:
    """One result for each shard."""
    rows = window.inputs[0].shape[0] or window.rows
    results = []
    for shard in range(shards):
        start, stop = rows * shard // shards, rows * (shard + 1) // shards
        results.append(
            program(
                window.take_rows(start, stop),
                tf.nest.map_structure(lambda t: t[start:stop], state),  # noqa: B023
                seeds_of(shard, buffers),
                *extra,
            )
        )
    return results


def seeds_of(place: int, buffers: list[Tensor]) -> list[Tensor]:
    """The buffers of a part of the rows, which has random numbers of its own.

    Args:
        place: Number of the part; a negative one undoes that.
        buffers: Values of random seeds.
    """
    if not place:
        return buffers
    return [value + [place * _SEED_STRIDE, 0] for value in buffers]


def _join(results: list[WindowResult]) -> WindowResult:
    """Joins the results of a window's shards, as if one program had run.

    The gradient of the mean over all rows is the sum of the gradients of the shards'
    means, weighted by `W_s / sum(W)`, where `L_s` is the mean of shard `s` and `W_s`
    its weight:

        d/dv (sum_s W_s L_s / sum_s W_s)
    """
    first = results[0]
    terms = [
        Term(
            tf.add_n([term.total for term in of_output]),
            tf.add_n([term.weight for term in of_output]),
            tf.reduce_all([term.labels_valid for term in of_output]),
        )
        for of_output in zip(*(result.terms for result in results), strict=True)
    ]
    joined = first._replace(
        # Of the same type: `tf.cond` requires the same structure, even if empty.
        terms=terms or first.terms,
        outputs=_concat([result.outputs for result in results]),
        masks=_concat([result.masks for result in results]),
        state=_concat([result.state for result in results]),
        ids_valid={
            name: tf.reduce_all([result.ids_valid[name] for result in results])
            for name in first.ids_valid
        },
    )
    if first.loss is None:
        return joined
    shares = _shares(results)
    return joined._replace(
        gradients=_weighted_sum([result.gradients for result in results], shares),
        loss=tf.add_n([s * r.loss for s, r in zip(shares, results, strict=True)]),
    )


def _shares(results: list[WindowResult]) -> list[Tensor]:
    weights = [tf.add_n([term.weight for term in r.terms]) for r in results]
    total = tf.add_n(weights)
    return [tf.math.divide_no_nan(weight, total) for weight in weights]


def _weighted_sum(gradients: list[Any], shares: list[Tensor]) -> list[Any] | None:
    if gradients[0] is None:
        return None

    def mix(of_variable: Sequence[Any]) -> Tensor | None:
        if of_variable[0] is None:
            return None
        return tf.add_n(
            [
                tf.cast(share, gradient.dtype) * gradient
                for share, gradient in zip(shares, of_variable, strict=True)
            ]
        )

    return [mix(of_variable) for of_variable in zip(*gradients, strict=True)]


def _concat(trees: list[Structure]) -> Structure:
    if trees[0] is None:
        return None
    return tf.nest.map_structure(
        lambda *t: None if t[0] is None else tf.concat(t, 0), *trees
    )
