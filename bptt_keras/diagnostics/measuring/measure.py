"""Measures how the gradient of a loss flows back through a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.arguments import whole
from bptt_keras.diagnostics.measuring.data import map_timed
from bptt_keras.diagnostics.measuring.flow import GradientFlow
from bptt_keras.diagnostics.measuring.problem import Problem
from bptt_keras.state import floats, row_norms, shaped_like
from bptt_keras.types import State, Structure, Tensor


def gradient_flow(
    model: keras.Model,
    data: Any,
    *,
    loss: Any = None,
    longest: int | None = None,
    samples: int = 4,
    seed: int = 0,
) -> GradientFlow:
    """Measures how far the gradient of a loss reaches back, on real data.

    At several timesteps t of the data, the loss of that timestep alone is
    backpropagated, timestep by timestep, to every earlier state:

        phi_k = E || d loss_t / d state_{t-k} ||,    k = 1 ... longest

    as a mean over rows and timesteps t. The model runs in inference mode, without
    dropout, from the initial state at the start of the data; its weights do not change.

    Args:
        model: A `TruncatedBPTT` or another built `keras.Model` that `PureStep` takes,
            with one output.
        data: `(x, y)`, arrays `(rows, time, ...)`; or a `tf.data.Dataset` of such
            batches, of which the first is used. Batches of `bptt_keras.data.streams`
            are joined along time as far as needed. For a model with its loss at the end
            of a sequence, `y` is `(rows, ...)`.
        loss: Loss of one timestep, as for `compile`. Default (`None`): the one that
            `model` was compiled with.
        longest: Largest lag, from 2 to one less than the timesteps of the data. Default
            (`None`): 100, or as many as there are.
        samples: Number of timesteps t, spread evenly over the data, an integer >= 1.
            With a loss at the end there is one.
        seed: Seed of the random directions of `jacobian`, an integer.

    Returns:
        `GradientFlow`.

    Raises:
        TypeError: If `model` or an argument is of the wrong type.
        ValueError: If the data are too short or padded, there is no loss, or the model
            has several outputs or no state.

    Example:
        import keras, numpy as np, bptt_keras as bk

        model = keras.Sequential([
            keras.layers.Input((None, 1)),
            bk.layers.GRU(8, return_sequences=True),
            keras.layers.Dense(1),
        ])
        x = np.random.default_rng(0).normal(size=(4, 60, 1)).astype("float32")
        flow = bk.diagnostics.gradient_flow(model, (x, x), loss="mse", longest=30)
        print(flow)      # says in words whether gradients vanish, last or explode

    Source: Aicher, Foti & Fox, "Adaptively truncating backpropagation through time to
    control gradient bias" (2019), for phi.
    """
    return prepare_flow(
        model, data, loss=loss, longest=longest, samples=samples, seed=seed
    )()


def prepare_flow(
    model: keras.Model,
    data: Any,
    *,
    loss: Any = None,
    longest: int | None = None,
    samples: int = 4,
    seed: int = 0,
) -> PreparedFlow:
    """Like `gradient_flow`, but returns a function that measures anew at each call.

    Its attribute `ends` says whether the only loss is at the end of a sequence.
    """
    samples = whole("samples", samples, unit="timesteps")
    if longest is not None:
        longest = whole("longest", longest, least=2)
    needed = (longest or 100) + samples
    problem = Problem(model, data, loss, steps=needed, asked_by="gradient_flow")
    length = problem.length
    if longest is None:
        longest = min(100, length - 1)
    if not 2 <= longest < length:
        raise ValueError(
            f"The data must be longer than `longest`, which is at least 2. Received: "
            f"longest={longest} and {length} timesteps."
        )
    last = [length - 1]
    if problem.timed:
        spread = np.linspace(longest, length - 1, samples).astype(int)
        last = [int(t) for t in np.unique(spread)]
    program = _Program(problem, longest)

    def measure() -> GradientFlow:
        measurement = _Measurement(problem, program, longest=longest, seed=seed)
        for t in last:
            measurement.add(t)
        return measurement.result()

    return PreparedFlow(measure, ends=not problem.timed)


class PreparedFlow:
    """Measures a gradient flow, anew at each call.

    Attributes:
        ends: Whether the only loss is at the end of a sequence.
    """

    def __init__(self, measure: Callable[[], GradientFlow], *, ends: bool):
        self._measure = measure
        self.ends = ends

    def __call__(self) -> GradientFlow:
        """Measures the gradient flow."""
        return self._measure()


class _Measurement:
    """Averages measurements over the losses of single timesteps."""

    def __init__(self, problem: Problem, program: _Program, *, longest: int, seed: int):
        self._problem = problem
        self._program = program
        self._longest = longest
        self._random = np.random.default_rng(seed)
        self._norms: list[np.ndarray] = []
        self._squares: list[np.ndarray] = []
        self._at, self._state = 0, problem.step.initial_state(problem.rows)

    def add(self, last: int) -> None:
        """Adds the loss at timestep `last`, which is later than those added before."""
        problem, first = self._problem, last - self._longest
        # From the previous sample on.
        self._state = state = problem.advance(self._at, first, self._state)
        self._at = first
        norms, squares = self._program.run(
            problem.inputs(first, last + 1),
            problem.targets(last, last + 1),
            state,
            self._directions(state),
        )
        self._norms.append(norms.numpy())
        self._squares.append(squares.numpy())

    def result(self) -> GradientFlow:
        """`GradientFlow` of all losses that were added."""
        norms = np.mean(self._norms, axis=0)
        gains = np.sqrt(np.mean(self._squares, axis=0))
        names = list(self._problem.step.initial_state(1))
        layers = {name: norms[1 + i] for i, name in enumerate(names)}
        return GradientFlow(norms[0], layers, gains)

    def _directions(self, state: State) -> list[Tensor]:
        """Random directions, of length 1 in each row, for the floats of the state."""
        parts = [self._random.normal(size=v.shape) for v in floats(state)]
        squares = [(p**2).sum(axis=tuple(range(1, p.ndim))) for p in parts]
        lengths = np.sqrt(sum(squares))
        return [
            tf.constant(p / lengths.reshape([-1] + [1] * (p.ndim - 1)), tf.float32)
            for p in parts
        ]


class _Program:
    """Backpropagates a single loss timestep by timestep, in a graph traced once."""

    def __init__(self, problem: Problem, longest: int):
        self._problem = problem
        self._step = problem.step
        self._longest = longest
        self.run = tf.function(self._backward, autograph=False)

    def _backward(
        self, x: Structure, y: Tensor, state: State, directions: Sequence[Tensor]
    ) -> tuple[Tensor, Tensor]:
        """`(norms (1 + layers, longest), squares (longest,))`, by lag."""
        longest = self._longest
        structure = state
        stores = [
            tf.TensorArray(v.dtype, longest, element_shape=v.shape)
            for v in tf.nest.flatten(state)
        ]

        def slice_at(t):
            return map_timed(self._step.model, lambda a: a[:, t : t + 1], x)

        def forward(t, state, stores):
            flat = tf.nest.flatten(state)
            stores = [s.write(t, v) for s, v in zip(stores, flat, strict=True)]
            _, new = self._step(slice_at(t), state)
            return t + 1, shaped_like(new, state), stores

        _, state, stores = tf.while_loop(
            lambda t, *_: t < longest, forward, (0, state, stores)
        )
        with tf.GradientTape() as tape:
            watched = floats(state)
            tape.watch(watched)
            outputs, _ = self._step(slice_at(longest), state)
            loss = tf.reduce_sum(self._problem.losses(y, outputs))
        found = tape.gradient(loss, watched, unconnected_gradients="zero")
        gradient = [tf.cast(g, tf.float32) for g in found]
        kept = tf.TensorArray(tf.float32, longest, element_shape=[None])
        gains = tf.TensorArray(tf.float32, longest, element_shape=[])

        def back(lag, gradient, directions, kept, gains):
            kept = kept.write(lag - 1, self._means(gradient, structure))
            t = longest - lag
            state = tf.nest.pack_sequence_as(structure, [s.read(t) for s in stores])
            with tf.GradientTape(persistent=True) as tape:
                watched = floats(state)
                tape.watch(watched)
                _, new = self._step(slice_at(t), state)
                targets = floats(new)
            flows = []
            for flow in (gradient, directions):
                upstream = [
                    tf.cast(g, v.dtype) for g, v in zip(flow, targets, strict=True)
                ]
                found = tape.gradient(
                    targets, watched, upstream, unconnected_gradients="zero"
                )
                flows.append([tf.cast(g, tf.float32) for g in found])
            del tape
            gain = tf.reduce_mean(tf.square(row_norms(flows[1])))
            return lag + 1, *flows, kept, gains.write(lag - 1, gain)

        _, _, _, kept, gains = tf.while_loop(
            lambda lag, *_: lag <= longest,
            back,
            (1, gradient, list(directions), kept, gains),
        )
        return tf.transpose(kept.stack()), gains.stack()

    def _means(self, gradient: Sequence[Tensor], structure: State) -> Tensor:
        """Mean over rows of the norm, for all layers together and for each."""
        by_layer, rest = [], list(gradient)
        for state in structure.values():
            count = len(floats(state))
            own, rest = rest[:count], rest[count:]
            by_layer.append(own)
        every = [list(gradient), *by_layer]
        return tf.stack([tf.reduce_mean(row_norms(g)) for g in every])
