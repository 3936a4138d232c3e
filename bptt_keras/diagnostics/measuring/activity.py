"""`activity`: units that never change, and gates that are always open or closed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.arguments import whole
from bptt_keras.diagnostics.measuring.problem import Problem
from bptt_keras.state import floats
from bptt_keras.types import State, Tensor

# Beyond these a logistic gate passes less than a fifth of the largest gradient that it
# can pass: 0.05 * 0.95 / 0.25.
_SHUT, _OPEN = 0.05, 0.95
# The same for tanh: 1 - 0.9^2.
_FLAT = 0.9
_ALWAYS = 0.95
_STILL = 1e-4


def activity(model: keras.Model, data: Any, *, steps: int = 100) -> Activity:
    """Measures the activity of the units of recurrent layers on real data.

    A unit of the state is *dead* if it never changes: its standard deviation over rows
    and timesteps is below 1e-4. A gate of a unit is *saturated* if it is below 0.05 or
    above 0.95 at 95 % of the rows and timesteps, and so passes almost no gradient. A
    unit of a SimpleRNN with `tanh` is saturated if it is below -0.9 or above 0.9 as
    often.

    The model runs in inference mode from the initial state, and is not changed.

    Args:
        model: A `TruncatedBPTT` or another built `keras.Model` that `PureStep` takes,
            with one output.
        data: `(x, y)`, arrays `(rows, time, ...)`; or a `tf.data.Dataset` of such
            batches, of which the first is used. Batches of `bptt_keras.data.streams`
            are joined along time as far as needed.
        steps: Timesteps to examine, an integer >= 2; fewer if the data have fewer.

    Returns:
        `Activity`. Gates are known for layers whose cell is Keras' LSTMCell,
        GRUCell or SimpleRNNCell with its default activations.

    Raises:
        TypeError: If `model` or an argument is of the wrong type.
        ValueError: If the data are padded, or the model has several outputs or no
            state.

    Example:
        import keras, numpy as np, bptt_keras as bk

        model = keras.Sequential([
            keras.layers.Input((None, 1)),
            bk.layers.LSTM(8, return_sequences=True, name="memory"),
        ])
        x = np.random.default_rng(0).normal(size=(4, 60, 1)).astype("float32")
        seen = bk.diagnostics.activity(model, (x, x))
        assert seen.layers["memory"].dead.sum() == 0
        assert set(seen.layers["memory"].saturated) == {"i", "f", "o"}

    Source: Karpathy, Johnson & Li, "Visualizing and understanding recurrent networks"
    (2015), section 4.2, for saturated gates.
    """
    return prepare_activity(model, data, steps=steps)()


def prepare_activity(
    model: keras.Model, data: Any, *, steps: int = 100
) -> Callable[[], Activity]:
    """Like `activity`, but returns a function that measures anew at each call."""
    steps = whole("steps", steps, least=2)
    problem = Problem(model, data, False, steps=steps, asked_by="activity")
    step, length = problem.step, min(steps, problem.length)
    layers = step.layers

    @tf.function(autograph=False)
    def advance(x, state):
        new, inputs = step.observe(x, state)
        gates = {
            name: _saturation(layers[name], inputs[name], state[name], new[name])
            for name in layers
            if name in inputs
        }
        return new, gates

    def look():
        state = step.initial_state(problem.rows)
        states, gates = [], []
        for t in range(length):
            state, of_step = advance(problem.inputs(t, t + 1), state)
            states.append({name: _flat(state[name]) for name in layers})
            gates.append(tf.nest.map_structure(lambda g: g.numpy(), of_step))
        return Activity(
            {
                name: LayerActivity(
                    dead=_spread([s[name] for s in states]) < _STILL,
                    saturated=_saturated([g.get(name, {}) for g in gates]),
                    finite=all(np.isfinite(s[name]).all() for s in states),
                )
                for name in layers
            }
        )

    return look


class LayerActivity(NamedTuple):
    """The activity of the units of one layer.

    Fields:
        dead: Booleans, one per unit of the state, with all state tensors concatenated.
        saturated: `{gate: (units, 3)}`, booleans: nearly always closed, nearly always
            open, and nearly always one of the two. For tanh: at -1, at 1, either.
        finite: Whether all states are finite.

    Example:
        import numpy as np, bptt_keras as bk

        layer = bk.diagnostics.LayerActivity(np.array([True, False]), {})
        assert layer.dead.mean() == 0.5
    """

    dead: np.ndarray
    saturated: dict
    finite: bool = True


class Activity:
    """The activity of the units of all recurrent layers.

    Args:
        layers: `{layer name: LayerActivity}`.

    Example:
        import numpy as np, bptt_keras as bk

        layer = bk.diagnostics.LayerActivity(np.array([True, False]), {})
        seen = bk.diagnostics.Activity({"memory": layer})
        assert seen.verdict() == "1 of 2 states of layer memory never change."
    """

    def __init__(self, layers: Mapping[str, LayerActivity]):
        self.layers = dict(layers)

    @property
    def dead(self) -> float:
        """Fraction of all states that never change, from 0 to 1."""
        every = [layer.dead for layer in self.layers.values()]
        return float(np.concatenate(every).mean()) if every else 0.0

    @property
    def saturated(self) -> dict[tuple[str, str], float]:
        """`{(layer, gate): fraction of its units that are saturated}`."""
        return {
            (name, gate): float(ends[:, 2].mean())
            for name, layer in self.layers.items()
            for gate, ends in layer.saturated.items()
        }

    def verdict(self) -> str:
        """Says what the activity means, in a few sentences."""
        words = []
        for name, layer in self.layers.items():
            if not layer.finite:
                words.append(f"States of layer {name} are not finite.")
                continue
            if layer.dead.any():
                words.append(
                    f"{layer.dead.sum()} of {layer.dead.size} states of layer {name} "
                    "never change."
                )
            for gate, ends in layer.saturated.items():
                low, high, either = ends.sum(axis=0)
                if either:
                    sides = ("-1", "1") if gate == "tanh" else ("shut", "open")
                    words.append(
                        f"In layer {name}, {gate} is saturated in {either} of "
                        f"{len(ends)} units: {low} nearly always {sides[0]}, {high} "
                        f"nearly always {sides[1]}."
                    )
        return " ".join(words) or "All states change, and no gate is saturated."

    def __str__(self) -> str:
        return self.verdict()


def _spread(states: Sequence[np.ndarray]) -> np.ndarray:
    # A unit that overflows is not dead.
    with np.errstate(all="ignore"):
        return np.stack(states).std(axis=(0, 1))


def _flat(state: Any) -> np.ndarray:
    """The floating-point tensors of a state, concatenated: `(rows, units)`."""
    parts = floats(state)
    rows = parts[0].shape[0] if parts else 0
    return np.concatenate(
        [tf.cast(p, tf.float32).numpy().reshape(rows, -1) for p in parts]
        or [np.zeros((1, 0), np.float32)],
        axis=1,
    )


def _saturated(gates: Sequence[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """For each gate, which units are nearly always at an end: `(units, 3)`."""
    found = {}
    for name in gates[0]:
        ends = np.stack([g[name] for g in gates]).mean(axis=(0, 1))
        either = ends.sum(axis=-1, keepdims=True)
        found[name] = np.concatenate([ends, either], axis=-1) >= _ALWAYS
    return found


def _saturation(
    layer: keras.Layer, x: Tensor, state: State, new: State
) -> dict[str, Tensor]:
    """`{gate: floats (rows, units, 2)}`: 1 if below its low, above its high bound."""
    cell: Any = getattr(layer, "cell", None)
    kind = type(cell)
    if kind is keras.layers.SimpleRNNCell:
        if cell.activation is not keras.activations.tanh:
            return {}
        return {"tanh": _beyond(new["h"], -_FLAT, _FLAT)}
    # Keras' order: i, f, c, o and z, r, h. `_` is not a gate.
    names = {keras.layers.LSTMCell: "if_o", keras.layers.GRUCell: "zr_"}.get(kind)
    if names is None or cell.recurrent_activation not in (
        keras.activations.sigmoid,
        keras.activations.hard_sigmoid,
    ):
        return {}
    x = keras.ops.cast(x[:, 0], cell.compute_dtype)
    projected = keras.ops.matmul(x, cell.kernel)
    recurrent = keras.ops.matmul(state["h"], cell.recurrent_kernel)
    if cell.use_bias:
        projected += cell.bias[0] if cell.bias.shape.rank == 2 else cell.bias
        if cell.bias.shape.rank == 2:
            recurrent += cell.bias[1]
    gates = cell.recurrent_activation(projected + recurrent)
    return {
        name: _beyond(gate, _SHUT, _OPEN)
        for name, gate in zip(names, tf.split(gates, len(names), -1), strict=True)
        if name != "_"
    }


def _beyond(values: Tensor, low: float, high: float) -> Tensor:
    values = tf.cast(values, tf.float32)
    return tf.cast(tf.stack([values < low, values > high], axis=-1), tf.float32)
