"""A recurrent layer of Keras or of this package, as a carried layer."""

from __future__ import annotations

import contextlib
import inspect
from contextlib import AbstractContextManager
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.keras_internals import hiding, takes_training
from bptt_keras.kernels.loop import cell_loop
from bptt_keras.state.carried import Carried, Pass
from bptt_keras.state.replaced import replaced_call
from bptt_keras.types import Structure, Tensor

_CONV_LSTMS = (
    keras.layers.ConvLSTM1D,
    keras.layers.ConvLSTM2D,
    keras.layers.ConvLSTM3D,
)


class CarriedRNN(Carried):
    """One `keras.layers.RNN`."""

    def __init__(self, layer: keras.Layer, name: str):
        # The layer handles resets itself if its `call` takes them.
        self.takes_reset = "reset" in inspect.signature(type(layer).call).parameters
        # Eagerly, even while a graph is being traced: weights may be read.
        with tf.init_scope():
            template = layer.get_initial_state(1)
        self.template = keras.tree.map_structure(lambda _: None, template)
        names = _state_names(layer, template)
        # A masked step repeats the previous output. If that is not part of the state,
        # it is carried along with it; otherwise a cut would lose it.
        self.output_of = _output_position(layer, template)
        super().__init__(
            layer, name, names if self.output_of is not None else [*names, "output"]
        )

    def initial_state(self, batch_size: int | Tensor) -> dict[str, Tensor]:
        values = keras.tree.flatten(self.layer.get_initial_state(batch_size))
        # A weight that a cell returns has its own dtype under a mixed policy.
        dtype = self.layer.compute_dtype
        values = [
            tf.cast(v, dtype) if tf.as_dtype(v.dtype).is_floating else v for v in values
        ]
        if self.output_of is None:
            cell = self.layer.cell
            size = getattr(cell, "output_size", None) or cell.state_size
            size = keras.tree.flatten(size)[0]
            values.append(tf.zeros((batch_size, size), self.layer.compute_dtype))
        return dict(zip(self.names, values, strict=True))

    def pack(self, values: dict[str, Tensor]) -> Structure:
        """Keras' nested list of states from a named state."""
        count = len(keras.tree.flatten(self.template))
        flat = [values[name] for name in self.names[:count]]
        return keras.tree.pack_sequence_as(self.template, flat)

    def previous_output(self, values: dict[str, Tensor]) -> Tensor:
        if self.output_of is None:
            return values["output"]
        return values[self.names[self.output_of]]

    def replaced(self, one_pass: Pass) -> AbstractContextManager[None]:
        layer, original = self.layer, self.layer.call
        reset = one_pass.reset

        def call(sequences, initial_state=None, mask=None, training=False):
            self._check_initial_state(initial_state)
            mask = self.enter(sequences, mask, one_pass)
            values = one_pass.state[self.name]
            arguments = {"mask": mask, "training": training}
            in_its_place = contextlib.nullcontext()
            if self.takes_reset:
                arguments["reset"] = reset
            elif reset is not None or mask is not None:
                loop = self._inner_loop(values, one_pass.initial[self.name], reset)
                in_its_place = hiding(layer, "inner_loop", loop)
            elif keras.tree.flatten(sequences)[0].shape[1] == 1:
                # One timestep, as in streaming, takes no loop.
                in_its_place = hiding(layer, "unroll", True)
            returned_state, layer.return_state = layer.return_state, True
            try:
                with in_its_place:
                    output, *states = original(
                        sequences, initial_state=self.pack(values), **arguments
                    )
            finally:
                layer.return_state = returned_state
            flat = keras.tree.flatten(states)
            if self.output_of is None:
                last = output[:, -1] if layer.return_sequences else output
                flat.append(last)
            one_pass.new_state[self.name] = dict(zip(self.names, flat, strict=True))
            return (output, *states) if returned_state else output

        return replaced_call(layer, call)

    def _check_initial_state(self, initial_state):
        if initial_state is not None:
            raise ValueError(
                f"Layer {self.layer.name!r} is given an `initial_state` by the model, "
                f"but its state is carried from window to window. Feed that tensor to "
                f"the layer as an input at each step instead (`RepeatVector`)."
            )

    def _inner_loop(self, values, initial, reset):
        """A replacement for `RNN.inner_loop` that masks and resets across cuts."""
        layer = self.layer

        def inner_loop(sequences, initial_state, mask, training=False):
            options = {"training": training} if takes_training(layer.cell) else {}

            def step(inputs, states):
                output, states = layer.cell(inputs, states, **options)
                nested = keras.tree.is_nested(states)
                return output, list(states) if nested else [states]

            mask = keras.tree.flatten(mask)[0] if mask is not None else None
            last, outputs, states = cell_loop(
                step,
                sequences,
                initial_state,
                mask=mask,
                reset=reset,
                initial_states=self.pack(initial),
                previous_output=self.previous_output(values),
                initial_output=self.previous_output(initial),
                unroll=layer.unroll,
            )
            if layer.zero_output_for_mask and mask is not None:
                rank = outputs.shape.rank - 2
                valid = tf.reshape(
                    mask, tf.concat([tf.shape(mask), tf.ones([rank], tf.int32)], 0)
                )
                outputs = tf.where(valid, outputs, tf.zeros_like(outputs))
                last = outputs[:, -1]
            return last, outputs, states

        return inner_loop


def _state_names(layer: keras.Layer, template: Structure) -> list[str]:
    cell = layer.cell
    if isinstance(cell, keras.layers.StackedRNNCells):
        return [
            f"{name}_{index}"
            for index, (inner, part) in enumerate(
                zip(cell.cells, template, strict=True)
            )
            for name in _cell_state_names(inner, part)
        ]
    if isinstance(layer, _CONV_LSTMS):
        return ["h", "c"]
    return _cell_state_names(cell, template)


def _cell_state_names(cell: Any, template: Structure) -> list[str]:
    if isinstance(cell, keras.layers.LSTMCell):
        return ["h", "c"]
    if isinstance(cell, keras.layers.GRUCell | keras.layers.SimpleRNNCell):
        return ["h"]
    count = len(keras.tree.flatten(template))
    return [f"state_{index}" for index in range(count)]


def _output_position(layer: keras.Layer, template: Structure) -> int | None:
    """Index of the layer's output among its flat states, or `None`."""
    known = (
        keras.layers.LSTMCell,
        keras.layers.GRUCell,
        keras.layers.SimpleRNNCell,
    )
    cell = layer.cell
    if isinstance(layer, _CONV_LSTMS) or isinstance(cell, known):
        return 0
    if isinstance(cell, keras.layers.StackedRNNCells) and isinstance(
        cell.cells[-1], known
    ):
        return len(keras.tree.flatten(list(template)[:-1]))
    return None
