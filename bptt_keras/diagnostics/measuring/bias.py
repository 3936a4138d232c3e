"""`truncation_bias`: the error that windows make, and the time and memory they save."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.arguments import whole
from bptt_keras.diagnostics.measuring.peak import can_measure, peak_memory
from bptt_keras.diagnostics.measuring.problem import Problem
from bptt_keras.diagnostics.measuring.trade_off import TruncationBias
from bptt_keras.types import State, Structure, Tensor


def truncation_bias(
    model: keras.Model,
    data: Any,
    windows: int | Iterable[int] | None = None,
    *,
    loss: Any = None,
    longest: int = 400,
    cost: bool = True,
) -> TruncationBias:
    """Measures how far truncated gradients are from the full one, on real data.

    Let g be the gradient of the mean loss over all timesteps of the data, and g_w the
    same gradient with the state detached every w timesteps:

        cosine = <g_w, g> / (|g_w| |g|),    norm ratio = |g_w| / |g|
        bias = |g_w - g| / |g|

    The model runs in inference mode, without dropout, from the initial state at the
    start of the data; its weights do not change. For a model with its loss at the end,
    g_w flows back through the last w timesteps.

    Args:
        model: A `TruncatedBPTT` or another built `keras.Model` that `PureStep` takes,
            with one output.
        data: `(x, y)`, arrays `(rows, time, ...)`; or a `tf.data.Dataset` of such
            batches, of which the first is used. Batches of `bptt_keras.data.streams`
            are joined along time, up to `longest`.
        windows: Timesteps, one or more integers >= 1 and less than the length of the
            data. Default (`None`): the length of the data divided by 2, 4, ... 64.
        loss: Loss of one timestep, as for `compile`. Default (`None`): the one that
            `model` was compiled with.
        longest: Most timesteps of the data that are used, an integer >= 2: the reach of
            the "full" gradient.
        cost: Whether to measure time and memory too: those of the gradients alone, for
            each window, without an optimizer.

    Returns:
        `TruncationBias`. Its memory is NaN where it cannot be measured (on a CPU under
        a system other than Linux).

    Raises:
        TypeError: If `model` or an argument is of the wrong type.
        ValueError: If a window is out of range, the data are padded, there is no loss,
            or the model has several outputs or no state.

    Example:
        import keras, numpy as np, bptt_keras as bk

        model = keras.Sequential([
            keras.layers.Input((None, 1)),
            bk.layers.GRU(8, return_sequences=True),
            keras.layers.Dense(1),
        ])
        x = np.random.default_rng(0).normal(size=(4, 60, 1)).astype("float32")
        y = np.cumsum(x, axis=1)
        bias = bk.diagnostics.truncation_bias(
            model, (x, y), [5, 20], loss="mse", cost=False
        )
        print(bias)                            # says in words what a window is worth
        assert abs(bias.cosine[-1] - 1) < 1e-5     # the full gradient itself

    Source: Williams & Peng (1990), for truncation; Tallec & Ollivier, "Unbiasing
    truncated backpropagation through time" (2017), for gradients that point the wrong
    way.
    """
    return prepare_bias(model, data, windows, loss=loss, longest=longest, cost=cost)()


def prepare_bias(
    model: keras.Model,
    data: Any,
    windows: int | Iterable[int] | None = None,
    *,
    loss: Any = None,
    longest: int = 400,
    cost: bool = True,
) -> Callable[..., TruncationBias]:
    """Like `truncation_bias`, but returns a function that measures anew at each call.

    The function takes other windows, or none.
    """
    longest = whole("longest", longest, least=2)
    problem = Problem(model, data, loss, steps=longest, asked_by="truncation_bias")
    length = min(problem.length, longest)
    first = _checked(windows, length)
    # To measure costs, compile as a trainer does; otherwise don't wait for XLA.
    gradients = _Gradients(problem, length, xla=cost)

    def measure(windows=None):
        chosen = first if windows is None else _checked(windows, length)
        return _measured(gradients, [*chosen, length], cost)

    return measure


def _measured(
    gradients: _Gradients, windows: Sequence[int], cost: bool
) -> TruncationBias:
    found, seconds, memory = [], [], []
    for window in windows:
        found.append([g.numpy().astype(float) for g in gradients.of(window)])
        took, mib = _cost(gradients, window) if cost else (math.nan, math.nan)
        seconds.append(took)
        memory.append(mib)
    full = found[-1]
    variables = {
        path: np.array([_compare(one[i : i + 1], full[i : i + 1])[0] for one in found])
        for i, path in enumerate(gradients.paths)
    }
    pairs = np.array([_compare(one, full) for one in found])
    return TruncationBias(windows, pairs[:, 0], pairs[:, 1], variables, seconds, memory)


def _checked(windows: int | Iterable[int] | None, length: int) -> list[int]:
    if windows is None:
        windows = sorted({length // 2**k for k in range(1, 7)} - {0})
    if not isinstance(windows, Iterable):
        windows = [windows]
    windows = sorted({whole("windows", w) for w in windows})
    if not windows or windows[-1] >= length:
        raise ValueError(
            f"`windows` must be shorter than the data, {length} timesteps here. "
            f"Received: windows={windows}."
        )
    return windows


def _cost(gradients: _Gradients, window: int) -> tuple[float, float]:
    """Seconds and MiB of another run."""
    start = time.perf_counter()
    gradients.of(window)
    seconds = time.perf_counter() - start
    mib = math.nan
    if can_measure():
        mib = peak_memory(lambda: gradients.of(window), repeats=1)
    return seconds, mib


def _compare(
    gradients: Sequence[np.ndarray], full: Sequence[np.ndarray]
) -> tuple[float, float]:
    """`(cosine, norm ratio)`; NaN where a norm is 0."""
    norm, whole_norm = (
        math.sqrt(sum(float((g**2).sum()) for g in parts))
        for parts in (gradients, full)
    )
    dot = sum(float((a * b).sum()) for a, b in zip(gradients, full, strict=True))
    cosine = dot / (norm * whole_norm) if norm * whole_norm else math.nan
    return cosine, norm / whole_norm if whole_norm else math.nan


class _Gradients:
    """Gradients of the mean loss with the state detached at regular intervals."""

    def __init__(self, problem: Problem, length: int, *, xla: bool):
        self._problem = problem
        self._length = length
        self._variables = problem.step.model.trainable_variables
        self.paths = [v.path for v in self._variables]
        self._programs: dict[int, Callable] = {}
        self._xla = xla

    def of(self, window: int) -> list[Tensor]:
        """List of tensors, one for each trainable variable."""
        problem, step = self._problem, self._problem.step
        sums = [tf.zeros(v.shape) for v in self._variables]
        state: Any = step.initial_state(problem.rows)
        first = 0
        end = self._length if problem.timed else problem.length
        if not problem.timed and window < end:
            first = end - window
            state = problem.advance(0, first, state)
        for start in range(first, end, window):
            stop = min(start + window, end)
            x, y = problem.inputs(start, stop), problem.targets(start, stop)
            fresh = start == 0 and step.learns_initial_state
            state = None if fresh else state
            sums, state = self._run(stop - start, x, y, state, sums)
        return sums

    def _run(self, length: int, *arguments: Any) -> tuple[list[Tensor], State]:
        try:
            return self._program(length)(*arguments)
        except (ValueError, NotImplementedError, tf.errors.OpError):
            if not self._xla:
                raise
            # If anything but XLA failed, the plain program raises the error again.
            self._programs, self._xla = {}, False
            return self._program(length)(*arguments)

    def _program(self, length: int) -> Callable:
        # One per length: TensorFlow warns about a function that is traced for many.
        if length not in self._programs:
            self._programs[length] = tf.function(
                self._add, autograph=False, jit_compile=self._xla
            )
        return self._programs[length]

    def _add(
        self, x: Structure, y: Tensor, state: State | None, sums: list[Tensor]
    ) -> tuple[list[Tensor], State]:
        problem = self._problem
        with tf.GradientTape() as tape:
            outputs, state = problem.step(x, state)
            losses = problem.losses(y, outputs)
            steps = problem.rows * (self._length if problem.timed else 1)
            loss = tf.reduce_sum(losses) / tf.cast(steps, losses.dtype)
        found = tape.gradient(loss, [v.value for v in self._variables])
        return [
            s if g is None else s + tf.cast(tf.convert_to_tensor(g), s.dtype)
            for s, g in zip(sums, found, strict=True)
        ], state
