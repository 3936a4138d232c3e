"""A model's step as a function of named tensors, with its state among them."""

from __future__ import annotations

import contextlib
import functools
import re
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from bptt_keras.exporting.ports import Names, Port, StatePort, paths
from bptt_keras.keras_internals import all_layers, declared_inputs, hiding
from bptt_keras.sessions.inputs import ModelInputs, as_arrays
from bptt_keras.state import PureStep, where_rows
from bptt_keras.state.examining.timed import with_sizes
from bptt_keras.tensorflow_internals import drop_custom_gradients
from bptt_keras.types import State, Structure, Tensor

# Two lengths that show which outputs have a time axis.
_LENGTHS = (5, 7)
# Names that Keras and `ModelInputs` give where the user gave none.
_NUMBERED = re.compile(r"(keras_tensor|input_layer)(_\d+)?$|x$")


class ExportedStep:
    """A model as a function from named inputs and states to outputs and new states.

        {outputs..., new states...} = step(inputs..., states..., reset)

    Args:
        model: A built `keras.Model`.
        rows: Number of rows, `None` for any.
        timesteps: Number of timesteps in a call, `None` for any.
        reset: Whether the step takes flags of rows that start afresh.
        example: Structure of arrays `(rows, time, ...)` like the inputs, or `None`.

    Attributes:
        pure: The model as a `PureStep`.
        inputs: List of `Port`.
        timed: For each input, whether it has a time axis.
        outputs: List of `Port`.
        outputs_timed: For each output, whether it has a time axis.
        states: List of `StatePort`.
        reset: `Port` of the flags, or `None`.

    Raises:
        ValueError: If the shapes of the inputs are not known, or do not fit.
    """

    def __init__(
        self,
        model: keras.Model,
        *,
        rows: int | None,
        timesteps: int | None,
        reset: bool,
        example: Structure,
    ):
        self.pure = PureStep(model)
        self.rows, self.timesteps = rows, timesteps
        shown = _declared(model) if example is None else as_arrays(example)
        self._taken = ModelInputs(model, shown, rows)
        self.example = None if example is None else tf.nest.flatten(shown)
        self.timed = [entry.timed for entry in self._taken.entries]
        names = Names()
        self.inputs = self._input_ports(names, tf.nest.flatten(shown))
        self._outputs, self.outputs_timed = self._traced_outputs()
        self.states = self._state_ports(names)
        self.reset = None
        if reset and not self.states:
            raise ValueError(
                f"`reset` needs a state that can be reset. Received: reset=True, and "
                f"model {model.name!r}, in which no layer has one."
            )
        if reset:
            self.reset = Port(names.unique("reset"), (rows,), tf.bool)
        labels = paths(self._outputs, "outputs")
        flat = zip(
            labels, tf.nest.flatten(self._outputs), self.outputs_timed, strict=True
        )
        self.outputs = [
            Port(
                names.unique(label), (rows, *_sized(spec, timed, timesteps)), spec.dtype
            )
            for label, spec, timed in flat
        ]

    @property
    def specs(self) -> Structure:
        """Structure of `tf.TensorSpec` of the inputs, as the model takes them."""
        return self._taken.specs

    def pack(self, flat: list[Any]) -> Structure:
        """The structure of inputs that the model takes, from a flat list."""
        return self._taken.pack(flat)

    @property
    def signature(self) -> list[tf.TensorSpec]:
        """What the function of `traced` takes, in order."""
        ports = [*self.inputs, *(state.enters for state in self.states)]
        return [p.spec for p in [*ports, *filter(None, [self.reset])]]

    @functools.cached_property
    def function(self) -> Any:
        """A `tf.function` from tensors like `signature` to `{name: tensor}`."""

        def step(*tensors: Tensor) -> dict[str, Tensor]:
            count, size = len(self.inputs), len(self.states)
            reset = tensors[-1] if self.reset is not None else None
            outputs, new = self.run(
                tensors[:count], tensors[count : count + size], reset
            )
            named = zip(self.outputs, outputs, strict=True)
            states = zip(self.states, new, strict=True)
            # The same tensor under two names is lost in some formats.
            return {
                **{port.name: tf.identity(t) for port, t in named},
                **{state.leaves.name: tf.identity(t) for state, t in states},
            }

        return tf.function(step, input_signature=self.signature, autograph=False)

    def run(
        self, inputs: Any, states: Any, reset: Tensor | None
    ) -> tuple[list[Tensor], list[Tensor]]:
        """The step as operations that every runtime has, on flat lists of tensors.

        Args:
            inputs: Tensors of the inputs.
            states: Tensors of the states.
            reset: Booleans `(rows,)`, or `None`.

        Returns:
            `(outputs, new states)`, flat lists.
        """
        entries = self._taken.entries
        x = [tf.cast(t, entry.dtype) for t, entry in zip(inputs, entries, strict=True)]
        state: State = {}
        for port, tensor in zip(self.states, states, strict=True):
            state.setdefault(port.layer, {})[port.state] = tensor
        if reset is not None:
            fresh = self.pure.initial_state(tf.shape(x[0])[0])
            state = where_rows(reset, fresh, state)
        with _portable(self.pure.model):
            outputs, new = self.pure(self.pack(x), state)
        drop_custom_gradients()
        return (
            [tf.convert_to_tensor(t) for t in tf.nest.flatten(outputs)],
            self.flat(new),
        )

    @property
    def template(self) -> State:
        """An initial state of one row."""
        return self.pure.initial_state(1)

    def initial(self, rows: int) -> list[np.ndarray]:
        """The initial states, in the order of `states`."""
        return [t.numpy() for t in self.flat(self.pure.initial_state(rows))]

    def flat(self, state: State) -> list[Tensor]:
        """The tensors of a state, in the order of `states`."""
        return [state[port.layer][port.state] for port in self.states]

    def weights(self) -> list[tf.Variable]:
        """All variables of the model."""
        return [variable.value for variable in self.pure.model.variables]

    def _input_ports(self, names: Names, shown: list[Any]) -> list[Port]:
        labels = paths(self._taken.structure, "inputs")
        ports = []
        for label, entry, array in zip(labels, self._taken.entries, shown, strict=True):
            if not _NUMBERED.match(entry.name):
                label = entry.name
            shape = list(entry.shape)
            if entry.timed:
                shape[1] = _length(entry, self.timesteps)
            dtype = entry.dtype
            integers = self.example is not None and tf.as_dtype(array.dtype).is_integer
            if integers or _reads_ids(self.pure.model):
                dtype = tf.int32
            ports.append(Port(names.unique(label), tuple(shape), dtype))
        return ports

    def _state_ports(self, names: Names) -> list[StatePort]:
        ports = []
        for layer, states in self.template.items():
            for state, tensor in states.items():
                shape = self.rows, *tensor.shape[1:]
                name = names.unique(f"state_{layer}_{state}")
                leaves = names.unique(f"new_{name}")
                ports.append(
                    StatePort(
                        layer,
                        state,
                        Port(name, shape, tensor.dtype),
                        Port(leaves, shape, tensor.dtype),
                    )
                )
        return ports

    def _traced_outputs(self) -> tuple[Structure, list[bool]]:
        """Outputs as `tf.TensorSpec`, and which of them have a time axis."""
        fixed = next(e.shape[1] for e in self._taken.entries if e.timed)
        lengths = (fixed, fixed) if fixed else _LENGTHS
        traces = [self._shapes(length) for length in lengths]
        flat = [tf.nest.flatten(trace) for trace in traces]
        timed = [
            a.shape.rank > 1 and (a.shape[1], b.shape[1]) == lengths
            for a, b in zip(*flat, strict=True)
        ]
        return traces[0], timed

    def _shapes(self, length: int) -> Structure:
        found: list[Structure] = []

        def trace(inputs: Structure) -> None:
            outputs, _ = self.pure(inputs)
            found.append(
                tf.nest.map_structure(
                    lambda t: tf.TensorSpec(t.shape, t.dtype), outputs
                )
            )

        specs = with_sizes(
            self.pure.model, self.specs, rows=self.rows or 2, length=length
        )
        tf.function(trace, autograph=False).get_concrete_function(specs)
        return found[0]


def _sized(
    spec: tf.TensorSpec, timed: bool, timesteps: int | None
) -> tuple[int | None, ...]:
    sizes = tuple(spec.shape[1:])
    return (timesteps, *sizes[1:]) if timed else sizes


def _declared(model: keras.Model) -> Structure:
    """Structure of `tf.TensorSpec` of the inputs that a model declares."""

    def spec(tensor: Any) -> tf.TensorSpec:
        return tf.TensorSpec(tensor.shape, tensor.dtype, name=tensor.name)

    known = getattr(model, "inputs", None)
    if not known:
        raise ValueError(
            f"Model {model.name!r} does not declare its inputs with `keras.Input`. "
            f"Received: example=None. Pass `example=x`, arrays (rows, time, ...) like "
            f"those that it will get."
        )
    structure = declared_inputs(model)
    if structure is None:
        structure = known[0] if len(known) == 1 else list(known)
    return keras.tree.map_structure(spec, structure)


def _length(entry: Any, timesteps: int | None) -> int | None:
    fixed = entry.shape[1]
    if fixed is not None and timesteps != fixed:
        raise ValueError(
            f"`timesteps` must be {fixed}, the length of the model's input "
            f"{entry.name!r}. Received: timesteps={timesteps}. Build the model with "
            f"`keras.Input((None, ...))` for any other."
        )
    return timesteps


def _reads_ids(model: keras.Model) -> bool:
    """Whether the only input goes to an embedding, whatever dtype it declares."""
    if not isinstance(model, keras.Sequential):
        return False
    return isinstance(model.layers[0], keras.layers.Embedding)


@contextlib.contextmanager
def _portable(model: keras.Model) -> Iterator[None]:
    """A context in which a layer that asks for the native kernel takes another."""
    with contextlib.ExitStack() as stack:
        for layer in all_layers(model):
            if getattr(layer, "implementation", None) == "native":
                stack.enter_context(hiding(layer, "implementation", "auto"))
        yield


Runner = Callable[[dict[str, np.ndarray]], dict[str, np.ndarray]]
"""A file in its runtime: from named inputs and states to outputs and new states."""
