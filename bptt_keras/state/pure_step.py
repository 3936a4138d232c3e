"""`PureStep`: a model as a function from inputs and state to outputs and state."""

from __future__ import annotations

import contextlib
import functools
from contextlib import AbstractContextManager

import keras
import tensorflow as tf

from bptt_keras.keras_internals import all_layers
from bptt_keras.kernels.dropout import dropout, starting_at
from bptt_keras.state.carriable import (
    check_carriable,
    recurrent_layers,
    within_the_carried,
)
from bptt_keras.state.carried import Pass
from bptt_keras.state.carried_rnn import CarriedRNN
from bptt_keras.state.examining.examination import Examination, examine
from bptt_keras.state.padding import (
    is_foreign,
    knowing_steps,
    regularized_steps,
    takes_flags,
)
from bptt_keras.state.place import Place
from bptt_keras.state.protocol import CarriedLayer, follows_protocol
from bptt_keras.state.replaced import LOCK, replaced_call
from bptt_keras.state.time_distributed import merges_time, merging
from bptt_keras.types import State, Structure, Tensor


class PureStep:
    """A Keras model as a function from inputs and state to outputs and new state.

    `outputs, new_state = step(inputs, state)`. Cutting the time axis of `inputs`
    anywhere and passing the state on gives the outputs of one uncut call. The state is
    a value that the model does not keep, so any batch size works and several sequences
    can be processed side by side.

    Layers whose state is carried are every `keras.layers.RNN` (`LSTM`, `GRU`,
    `SimpleRNN`, `RNN(cell)` with any cell, `StackedRNNCells`, `ConvLSTM1D/2D/3D`) and
    this package's own, in Sequential, Functional, nested and subclassed models. A layer
    inside `TimeDistributed` works within one timestep: it keeps no state and is called
    once for all rows and timesteps, `(batch * time, ...)`.

    The state of a custom layer is carried, and the layer is not refused as below, if it
    has two methods, whatever its base class:

        get_initial_state(batch_size) -> {name: tensor (batch, ...)}
        call_with_state(inputs, state, *, training=False, mask=None, reset=None)
            -> (outputs, new_state)

    `mask` and `reset` are booleans `(batch, time)` or `None`. A masked step does not
    change the state and repeats the previous output; a reset row returns to its initial
    state before the step. `help(bptt_keras.state.protocol)` shows such a layer.

    Args:
        model: A built `keras.Model` whose inputs are `(batch, time, ...)`; some may
            have no time axis, see `timed_inputs`.

    Call arguments:
        inputs: Tensor `(batch, time, ...)`, or the structure of tensors that the
            model takes, each `(batch, time, ...)`. An input without a time axis is
            the same in every piece of a sequence.
        state: What `initial_state` or an earlier call returned. Default (`None`): the
            initial state.
        training: Boolean, passed to the model. Default: `False`.
        reset: Boolean tensor, `(batch,)`: rows that start from the initial state; or
            `(batch, time)`: rows that return to the initial state before that step.
            Default (`None`): no reset.
        valid: Boolean tensor `(batch, time)`, False where a row has no input. Like a
            step that the model itself masks, such a step does not change the state of a
            carried layer, which repeats its previous output. It does not count in the
            averages of `BatchNormalization` or for an activity regularizer. A custom
            layer whose `call` has an argument `mask` gets it there; if no step counts,
            that layer changes no variable and adds no loss. The masks of the outputs
            are those of the model. Default (`None`): every step is valid.
        start: Index of the first timestep within its window, an integer or a scalar
            tensor. Dropout draws by timestep, counted from here: with one seed, a
            window in pieces drops the same as in one call. Default: 0.
        losses_count: False if neither the losses that layers add nor their moving
            averages are used: padding that would count there is then not refused.
            Default: `True`.

    Returns:
        `(outputs, new_state)`: the model's outputs, and a dict
        `{layer name: {"h": (batch, units), ...}}` in the layers' compute dtype.

    Raises:
        TypeError: If `model` is not a `keras.Model`.
        ValueError: If `model` is not built, or has a layer that cannot be cut along
            time: `Bidirectional`, `go_backwards=True`, `stateful=True`, attention,
            convolution or pooling over time, or a recurrent layer that is called twice
            or given an `initial_state`. With `valid`: if a layer without a `mask`
            computes a loss or the new value of a variable from its timesteps, or an
            activity regularizer changes when zeros are added.

    Example:
        import keras, numpy as np, bptt_keras as bk

        model = keras.Sequential(
            [keras.Input((None, 3)), keras.layers.GRU(4, return_sequences=True)]
        )
        step = bk.PureStep(model)
        x = np.random.normal(size=(2, 10, 3)).astype("float32")
        first, state = step(x[:, :6])
        second, state = step(x[:, 6:], state)
        whole, _ = step(x)
        np.testing.assert_allclose(whole[:, 6:], second, atol=1e-6)

    Source: Sonnet's and Haiku's recurrent cores take the state as an argument and
    return it; here a Keras model is called in that way.
    """

    def __init__(self, model: keras.Model):
        check_carriable(model)
        carried = recurrent_layers(model)
        # Not every layer of the model: layers inside a cell, or that are never called,
        # may be unbuilt.
        unbuilt = [x.name for x in (model, *(x for _, x in carried)) if not x.built]
        if unbuilt:
            raise ValueError(
                f"`model` must be built before its state is known. Received: model "
                f"{model.name!r}, in which {unbuilt} have no weights yet. Give it a "
                f"`keras.Input`, or call it once on a batch."
            )
        self.model = model
        self._layers = [
            (CarriedLayer if follows_protocol(layer) else CarriedRNN)(layer, name)
            for name, layer in carried
        ]
        self._dropouts = [
            layer
            for layer in all_layers(model)
            if type(layer).call is keras.layers.Dropout.call
        ]
        self._merging = [layer for layer in all_layers(model) if merges_time(layer)]
        # A carried layer manages the layers inside it.
        owned = within_the_carried(model)
        self.own_layers = [x for x in all_layers(model) if id(x) not in owned]
        self._averaging = [layer for layer in self.own_layers if takes_flags(layer)]
        self._regularized = [
            layer for layer in self.own_layers if layer.activity_regularizer is not None
        ]
        self._examined: dict[bool, Examination] = {}

    @property
    def layers(self) -> dict[str, keras.Layer]:
        """Layers whose state is carried: `{name: layer}`, in order."""
        return {carried.name: carried.layer for carried in self._layers}

    @functools.cached_property
    def learns_initial_state(self) -> bool:
        """Whether a layer's initial state depends on a trainable weight."""
        found = []

        def trace():
            variables = [v.value for v in self.model.trainable_variables]
            with tf.GradientTape() as tape:
                leaves = tf.nest.flatten(self.initial_state(1))
                floats = [leaf for leaf in leaves if leaf.dtype.is_floating]
            if floats and variables:
                found.extend(tape.gradient(floats, variables))

        # Only traced, not run. Not in `tf.init_scope`, which stops all tapes.
        tf.function(trace, autograph=False).get_concrete_function()
        return any(gradient is not None for gradient in found)

    def initial_state(self, batch_size: int | Tensor) -> State:
        """The state from which every row starts.

        Args:
            batch_size: Number of rows, an integer or a scalar integer tensor.

        Returns:
            `{layer name: {state name: tensor (batch_size, ...)}}`.
        """
        return {c.name: c.initial_state(batch_size) for c in self._layers}

    def __call__(
        self,
        inputs: Structure,
        state: State | None = None,
        *,
        training: bool = False,
        reset: Tensor | None = None,
        valid: Tensor | None = None,
        start: int | Tensor = 0,
        losses_count: bool = True,
    ) -> tuple[Structure, State]:
        outputs, new_state, _ = self._run(
            inputs,
            state,
            training=training,
            reset=reset,
            valid=valid,
            start=start,
            losses_count=losses_count,
        )
        return outputs, new_state

    def mask(self, inputs: Structure) -> Tensor | None:
        """The mask that reaches the recurrent layers.

        Args:
            inputs: As for a call.

        Returns:
            Boolean tensor `(batch, time)`, or `None` if there is no mask.
        """
        *_, calls = self._run(inputs)
        found = [call.mask for call in calls.values() if call.mask is not None]
        return tf.cast(found[0], tf.bool) if found else None

    def observe(
        self, inputs: Structure, state: State | None = None
    ) -> tuple[State, dict[str, Tensor]]:
        """The new state, and the inputs that reach each carried layer.

        Args:
            inputs: As for a call.
            state: As for a call.

        Returns:
            `(new_state, {layer name: tensor (batch, time, ...)})`.
        """
        _, new_state, calls = self._run(inputs, state)
        return new_state, {name: call.inputs for name, call in calls.items()}

    def _run(
        self,
        inputs,
        state=None,
        *,
        training=False,
        reset=None,
        valid=None,
        start=0,
        losses_count=True,
        place=None,
        watched=None,
    ):
        # `place`: replaces the `Place` of the pass, including `valid`.
        # `watched`: the innermost context, around only the model's call.
        first = tf.nest.flatten(inputs)[0]
        first = tf.convert_to_tensor(first)
        initial = self.initial_state(tf.shape(first)[0])
        state = initial if state is None else state
        self._check_state(state)
        reset = _flags("reset", reset, ranks={1: "(batch,)", 2: "(batch, time)"})
        valid = valid if place is None else place.flags
        valid = _flags("valid", valid, ranks={2: "(batch, time)"})
        if place is None:
            known = self._known(inputs, valid, training, refuse=losses_count)
            place = Place(valid, known)
        if reset is not None and reset.shape.rank == 1:
            state, reset = where_rows(reset, initial, state), None
        one_pass = Pass(state, dict(state), initial, training, reset, valid, called={})
        with LOCK, contextlib.ExitStack() as replaced:
            for carried in self._layers:
                replaced.enter_context(carried.replaced(one_pass))
            for layer in self._dropouts:
                replaced.enter_context(_drawing_fast(layer, place))
            for layer in self._merging:
                replaced.enter_context(merging(layer, place))
            for layer in self._averaging:
                replaced.enter_context(knowing_steps(layer, place, reset))
            for layer in self._regularized:
                replaced.enter_context(regularized_steps(layer, place))
            replaced.enter_context(starting_at(start))
            if watched is not None:
                replaced.enter_context(watched)
            outputs = self.model(inputs, training=training)
        return outputs, one_pass.new_state, one_pass.called

    def examined(self, specs: Structure, training: bool) -> Examination | None:
        """What padding would do to the model.

        Args:
            specs: As for `discover`.
            training: Boolean.

        Returns:
            `Examination`, or `None` if padding matters to no layer of the model.
        """
        concerned = self._averaging or self._regularized
        if not concerned and not any(map(is_foreign, self.own_layers)):
            return None
        if training not in self._examined:
            self._examined[training] = examine(self, specs, training)
        return self._examined[training]

    def _known(self, inputs, valid, training, *, refuse):
        """What the `Place` of a pass needs to know about the model.

        Raises:
            ValueError: If padding would count.
        """
        if valid is None:
            return None

        def spec(x):
            x = tf.convert_to_tensor(x)
            return tf.TensorSpec(x.shape, x.dtype)

        found = self.examined(tf.nest.map_structure(spec, inputs), bool(training))
        # If the model fails, the call itself will say why, with its own lengths.
        if found is None or found.fits is None:
            return None
        if refuse and found.why is not None:
            raise ValueError(
                f"Padding must count for nothing (`lengths`, `mask`, ragged data or "
                f"lists of sequences), but {found.why}. {found.remedy}"
            )
        return found.fits

    def _check_state(self, state):
        expected = {c.name: c.names for c in self._layers}
        received = {name: list(values) for name, values in state.items()}
        if received != expected:
            raise ValueError(
                f"`state` must have the structure that `initial_state` returns. "
                f"Expected: {expected}. Received: {received}."
            )


def _flags(name: str, flags: Tensor | None, *, ranks: dict[int, str]) -> Tensor | None:
    """Flags as a boolean tensor of an allowed rank; `None` stays `None`."""
    if flags is None:
        return None
    flags = tf.cast(flags, tf.bool)
    if flags.shape.rank not in ranks:
        raise ValueError(
            f"`{name}` must have the shape {' or '.join(ranks.values())}. "
            f"Received: {name} with shape {tuple(flags.shape)}."
        )
    return flags


def where_rows(rows: Tensor, chosen: Structure, otherwise: Structure) -> Structure:
    """`chosen` where `rows` is True, else `otherwise`, for structures of tensors.

    Args:
        rows: Boolean tensor `(batch,)`.
        chosen: Structure of tensors `(batch, ...)`.
        otherwise: The same structure.

    Returns:
        The same structure.
    """

    def select(a, b):
        shape = tf.concat([tf.shape(rows), tf.ones([a.shape.rank - 1], tf.int32)], 0)
        return tf.where(tf.reshape(rows, shape), a, b)

    return tf.nest.map_structure(select, chosen, otherwise)


def _drawing_fast(layer: keras.Layer, place: Place) -> AbstractContextManager[None]:
    """A context in which `Dropout` draws numbers in a way that XLA makes fast."""

    def call(inputs, training=False):
        if not training or layer.rate == 0:
            return inputs
        seed, noise = layer.seed_generator.next(), layer.noise_shape
        unmerged = place.unmerged(inputs) if place.sizes else None
        if unmerged is None:
            return dropout(inputs, layer.rate, seed, noise)
        if noise is not None:
            noise = (noise[0], None, None, *noise[1:])
        dropped = dropout(unmerged, layer.rate, seed, noise)
        dropped = tf.reshape(dropped, tf.shape(inputs))
        dropped.set_shape(inputs.shape)
        return dropped

    return replaced_call(layer, call)
