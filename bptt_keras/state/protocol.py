"""The two methods with which a custom layer has its state carried.

    get_initial_state(batch_size) -> {name: tensor (batch, ...)}
    call_with_state(inputs, state, *, training=False, mask=None, reset=None)
        -> (outputs, new_state)

`state` and `new_state` have the names, shapes and dtypes of `get_initial_state`, whose
`batch_size` is an integer or a scalar tensor. `outputs` are those of `call`, for
`inputs` that continue where the state left off. `mask` and `reset` are booleans
`(batch, time)` or `None`. Where `mask` is False, the state does not change and the
previous output is repeated, so that output belongs to the state, too. Where `reset` is
True, the row returns to its initial state before the step. `kernels.cell_loop` does all
of this for a function of one timestep.

`PureStep` runs `call_with_state` wherever the model calls the layer, passes it the
state and takes the new one. The layer's own `call` serves all other uses of the
model. Such a layer manages the layers inside it: nothing in it is carried separately or
refused.

Example:
    from bptt_keras.kernels import cell_loop

    class CausalConvolution(keras.layers.Layer):
        '''Each output sees the last `size` inputs: the state is all but one of them.'''

        def __init__(self, filters, size, **kwargs):
            super().__init__(**kwargs)
            self.filters, self.size, self.supports_masking = filters, size, True

        def build(self, shape):
            self.features = shape[-1]
            self.kernel = self.add_weight((self.size * self.features, self.filters))

        def get_initial_state(self, batch_size):
            past = (batch_size, self.size - 1, self.features)
            output = (batch_size, self.filters)
            return {"past": tf.zeros(past), "output": tf.zeros(output)}

        def call_with_state(
            self, inputs, state, *, training=False, mask=None, reset=None
        ):
            kernel = tf.convert_to_tensor(self.kernel)

            def step(x, past):
                seen = tf.concat([past, x[:, None]], axis=1)
                flat = tf.reshape(seen, (-1, self.size * self.features))
                return tf.matmul(flat, kernel), seen[:, 1:]

            last, outputs, past = cell_loop(
                step,
                inputs,
                state["past"],
                mask=mask,
                reset=reset,
                initial_states=tf.zeros_like(state["past"]),
                previous_output=state["output"],
            )
            return outputs, {"past": past, "output": last}

        def call(self, inputs, training=False, mask=None):
            state = self.get_initial_state(tf.shape(inputs)[0])
            return self.call_with_state(inputs, state, training=training, mask=mask)[0]

    model = keras.Sequential([keras.Input((None, 3)), CausalConvolution(4, 3)])
    step = bk.PureStep(model)
    x = np.random.normal(size=(2, 10, 3)).astype("float32")
    first, state = step(x[:, :6])
    second, _ = step(x[:, 6:], state)
    np.testing.assert_allclose(model(x)[:, 6:], second, atol=1e-6)
"""

from __future__ import annotations

import inspect
from contextlib import AbstractContextManager
from typing import Any

import keras
import tensorflow as tf

from bptt_keras.keras_internals import mask_of
from bptt_keras.state.carried import Carried, Pass
from bptt_keras.state.replaced import replaced_call
from bptt_keras.types import Tensor


def follows_protocol(layer: Any) -> bool:
    """Whether a layer follows the protocol, that is, has the two methods.

    Raises:
        ValueError: If it has only `call_with_state`.
    """
    if not callable(getattr(layer, "call_with_state", None)):
        return False
    if not callable(getattr(layer, "get_initial_state", None)):
        raise ValueError(
            f"Layer {layer.name!r} ({type(layer).__name__}) has `call_with_state` and "
            f"no `get_initial_state`. Give it that as well: a method from "
            f"`batch_size` to a dict of tensors (batch, ...)."
        )
    return True


class CarriedLayer(Carried):
    """One layer that follows the protocol of this module."""

    def __init__(self, layer: keras.Layer, name: str):
        # Eagerly, even while a graph is being traced: weights may be read.
        with tf.init_scope():
            template = layer.get_initial_state(1)
        if not isinstance(template, dict):
            raise ValueError(
                f"`get_initial_state` of layer {layer.name!r} "
                f"({type(layer).__name__}) must return a dict from names to tensors "
                f"(batch, ...). Received: {type(template).__name__}."
            )
        super().__init__(layer, name, template)
        self._template = {key: tf.convert_to_tensor(t) for key, t in template.items()}

    def initial_state(self, batch_size: int | Tensor) -> dict[str, Tensor]:
        values = self.layer.get_initial_state(batch_size)
        return {name: tf.convert_to_tensor(values[name]) for name in self.names}

    def replaced(self, one_pass: Pass) -> AbstractContextManager[None]:
        def call(inputs, *args, **kwargs):
            given = self._given(inputs, args, kwargs)
            mask = given.get("mask")
            if mask is None:
                # Keras passes the mask only to a `call` that takes it.
                mask = mask_of(keras.tree.flatten(inputs)[0])
            training = given.get("training")
            outputs, new_state = self.layer.call_with_state(
                inputs,
                one_pass.state[self.name],
                training=one_pass.training if training is None else training,
                mask=self.enter(inputs, mask, one_pass),
                reset=one_pass.reset,
            )
            one_pass.new_state[self.name] = self._checked(new_state)
            return outputs

        return replaced_call(self.layer, call)

    def _given(self, inputs, args, kwargs):
        """The arguments that the model passed besides the inputs, by name."""
        signature = inspect.signature(type(self.layer).call)
        given = signature.bind(self.layer, inputs, *args, **kwargs).arguments
        given = {k: v for k, v in [*given.items()][2:] if v is not None}
        unknown = sorted(set(given) - {"mask", "training"})
        if unknown:
            raise ValueError(
                f"Layer {self.layer.name!r} ({type(self.layer).__name__}) is called "
                f"with {unknown}, which `call_with_state` does not take. Make them "
                f"part of `inputs`, a structure of tensors."
            )
        return given

    def _checked(self, new_state):
        """The new state in the order of the initial state, which it must resemble."""

        def described(state):
            return {
                name: (tuple(tensor.shape[1:]), tensor.dtype.name)
                for name, tensor in state.items()
            }

        new_state = {
            name: tf.convert_to_tensor(tensor) for name, tensor in new_state.items()
        }
        expected, received = described(self._template), described(new_state)
        if expected != received:
            raise ValueError(
                f"`call_with_state` of layer {self.layer.name!r} "
                f"({type(self.layer).__name__}) must return a state like that of "
                f"`get_initial_state`: names, shapes behind the batch, dtypes. "
                f"Expected: {expected}. Received: {received}."
            )
        return {name: new_state[name] for name in self.names}
