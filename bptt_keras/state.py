"""Any Keras model as a pure step: `(inputs, state) -> (outputs, new_state)`.

This is the only file that reaches into Keras' recurrent layers. While the model
is called, the `call` of each `keras.layers.RNN` instance is replaced: it gets its
state from outside and hands the new one back. Nothing is copied, so the step
shares the model's weights, and nothing stays replaced when the call returns.
"""

import contextlib
import inspect
import threading

import keras
import tensorflow as tf

from bptt_keras.kernels.dropout import dropout
from bptt_keras.kernels.loop import cell_loop

_CONV_LSTMS = (
    keras.layers.ConvLSTM1D,
    keras.layers.ConvLSTM2D,
    keras.layers.ConvLSTM3D,
)
_ATTENTION = (
    keras.layers.Attention,
    keras.layers.AdditiveAttention,
    keras.layers.MultiHeadAttention,
    keras.layers.GroupQueryAttention,
)
_TIME_POOLING = (
    keras.layers.AveragePooling1D,
    keras.layers.MaxPooling1D,
    keras.layers.GlobalAveragePooling1D,
    keras.layers.GlobalMaxPooling1D,
    keras.layers.UpSampling1D,
    keras.layers.ZeroPadding1D,
    keras.layers.Cropping1D,
)
_TIME_CONVOLUTIONS = (
    keras.layers.Conv1D,
    keras.layers.Conv1DTranspose,
    keras.layers.SeparableConv1D,
    keras.layers.DepthwiseConv1D,
)
# One model is traced at a time: the replaced `call` belongs to the layer object.
_LOCK = threading.RLock()


class PureStep:
    """A Keras model as a function from inputs and state to outputs and new state.

    `outputs, new_state = step(inputs, state)`. Cutting the time axis of `inputs`
    anywhere and passing the state on gives the outputs of one uncut call. The
    state is a value: the model keeps none, so any batch size works and several
    sequences can be followed side by side.

    Layers that take part: every `keras.layers.RNN` (`LSTM`, `GRU`, `SimpleRNN`,
    `RNN(cell)` with any cell, `StackedRNNCells`, `ConvLSTM1D/2D/3D`) and this
    package's own, in Sequential, Functional, nested and subclassed models. A layer
    inside `TimeDistributed` works within one timestep and is left alone.

    Args:
        model: A built `keras.Model` whose inputs are `(batch, time, ...)`.

    Call arguments:
        inputs: Tensor `(batch, time, ...)`, or the structure of tensors that the
            model takes, each `(batch, time, ...)`.
        state: What `initial_state` or an earlier call returned. `None`: initial.
        training: Boolean, passed to the model. Default `False`.
        reset: Boolean tensor `(batch,)`: these rows start from the initial state;
            or `(batch, time)`: these rows go back to the initial state before that
            step. Default `None`: no reset.

    Returns:
        `(outputs, new_state)`: the model's outputs, and a dict
        `{layer name: {"h": (batch, units), ...}}` in the layers' compute dtype.

    Raises:
        TypeError: If `model` is no `keras.Model`.
        ValueError: If `model` is not built, or has a layer whose state cannot be
            carried over a cut in time: `Bidirectional`, `go_backwards=True`,
            `stateful=True`, attention, convolution or pooling over time, or a
            recurrent layer that is called twice or given an `initial_state`.

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

    Source: the state as an argument and a result is how Sonnet's and Haiku's
    recurrent cores work; here a stateless Keras model is read that way.
    """

    def __init__(self, model):
        check_carriable(model)
        if not all(layer.built for layer in model._flatten_layers()):
            raise ValueError(
                f"`model` must be built before its state is known. Received: model "
                f"{model.name!r}, which has no weights yet. Give it a `keras.Input`, "
                f"or call it once on a batch."
            )
        self.model = model
        self._layers = [_Carried(layer, name) for name, layer in _recurrent(model)]
        self._dropouts = [
            layer
            for layer in model._flatten_layers()
            if type(layer).call is keras.layers.Dropout.call
        ]

    @property
    def layers(self):
        """Recurrent layers whose state is carried: `{name: layer}`, in order."""
        return {carried.name: carried.layer for carried in self._layers}

    def initial_state(self, batch_size):
        """State in which every row starts.

        Args:
            batch_size: Number of rows, an integer or a scalar integer tensor.

        Returns:
            `{layer name: {state name: tensor (batch_size, ...)}}`.
        """
        return {c.name: c.initial_state(batch_size) for c in self._layers}

    def __call__(self, inputs, state=None, *, training=False, reset=None):
        first = tf.nest.flatten(inputs)[0]
        first = tf.convert_to_tensor(first)
        initial = self.initial_state(tf.shape(first)[0])
        state = initial if state is None else state
        self._check_state(state)
        if reset is not None:
            reset = tf.cast(reset, tf.bool)
            if reset.shape.rank == 1:
                state, reset = where_rows(reset, initial, state), None
            elif reset.shape.rank != 2:
                raise ValueError(
                    f"`reset` must have the shape (batch,) or (batch, time). "
                    f"Received: reset with shape {tuple(reset.shape)}."
                )
        new_state = dict(state)
        with _LOCK, contextlib.ExitStack() as replaced:
            called = set()
            for carried in self._layers:
                replaced.enter_context(
                    carried.replaced(state, new_state, initial, reset, called)
                )
            for layer in self._dropouts:
                replaced.enter_context(_drawing_fast(layer))
            outputs = self.model(inputs, training=training)
        return outputs, new_state

    def _check_state(self, state):
        expected = {c.name: c.names for c in self._layers}
        received = {name: list(values) for name, values in state.items()}
        if received != expected:
            raise ValueError(
                f"`state` must have the structure that `initial_state` returns. "
                f"Expected: {expected}. Received: {received}."
            )


def where_rows(rows, chosen, otherwise):
    """`chosen` where `rows` is true, else `otherwise`, for structures of tensors.

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


def check_carriable(model):
    """Raises if the model mixes time in a way that a carried state cannot follow.

    Args:
        model: A `keras.Model`, built or not.

    Raises:
        TypeError: If `model` is no `keras.Model`.
        ValueError: Names the layer and says what to do.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"`model` must be a `keras.Model`. Received: model={model!r} of type "
            f"{type(model).__name__}."
        )
    inside_a_step = _inside_time_distributed(model)
    for layer in model._flatten_layers():
        problem = None if id(layer) in inside_a_step else _problem(layer)
        if problem is not None:
            raise ValueError(
                f"Layer {layer.name!r} ({type(layer).__name__}) cannot be cut in "
                f"time: {problem}"
            )


def _problem(layer):
    if isinstance(layer, keras.layers.Bidirectional):
        return (
            "its backward half needs the future, which later windows hold. Use a "
            "forward layer, or train on whole sequences with the model itself."
        )
    if isinstance(layer, keras.layers.RNN):
        if layer.go_backwards:
            return (
                "`go_backwards=True` starts at the end of the sequence. Reverse the "
                "data instead and leave `go_backwards=False`."
            )
        if layer.stateful:
            return (
                "`stateful=True` keeps a state of its own beside the carried one. "
                "Leave `stateful=False`: the state is carried for you."
            )
    if isinstance(layer, _ATTENTION):
        return "attention looks at every timestep, a window holds only its own."
    if isinstance(layer, _TIME_POOLING):
        return (
            "it pools or pads along time, and the result would depend on the "
            "windows. Use the last output of a recurrent layer instead."
        )
    if isinstance(layer, _TIME_CONVOLUTIONS) and not _pointwise(layer):
        return (
            "a convolution over time needs its neighbours across the cut. Apply it "
            "to the data beforehand, or use `kernel_size=1`."
        )
    return None


def _pointwise(layer):
    return set(layer.kernel_size) == {1} and set(tf.nest.flatten(layer.strides)) == {1}


def _inside_time_distributed(model):
    return {
        id(inner)
        for layer in model._flatten_layers()
        if isinstance(layer, keras.layers.TimeDistributed)
        for inner in layer._flatten_layers(include_self=False)
    }


def _recurrent(model):
    """(unique name, layer) of each layer whose state is carried."""
    inside_a_step = _inside_time_distributed(model)
    found, names = [], set()
    seen = set()
    for layer in model._flatten_layers():
        is_carried = isinstance(layer, keras.layers.RNN)
        if not is_carried or id(layer) in inside_a_step or id(layer) in seen:
            continue
        seen.add(id(layer))
        name, number = layer.name, 1
        while name in names:
            name, number = f"{layer.name}_{number}", number + 1
        names.add(name)
        found.append((name, layer))
    return found


class _Carried:
    """One recurrent layer whose state comes from outside."""

    def __init__(self, layer, name):
        self.layer = layer
        self.name = name
        # The layer follows the protocol itself if its `call` knows resets.
        self.takes_reset = "reset" in inspect.signature(type(layer).call).parameters
        with tf.Graph().as_default():
            template = layer.get_initial_state(1)
        self.template = keras.tree.map_structure(lambda _: None, template)
        names = _state_names(layer, template)
        # A masked step repeats the output before it. Where that is no part of the
        # state, it is carried beside it, or a cut would lose it.
        self.output_of = _output_position(layer, template)
        self.names = names if self.output_of is not None else [*names, "output"]

    def initial_state(self, batch_size):
        values = keras.tree.flatten(self.layer.get_initial_state(batch_size))
        if self.output_of is None:
            cell = self.layer.cell
            size = getattr(cell, "output_size", None) or cell.state_size
            size = keras.tree.flatten(size)[0]
            values.append(tf.zeros((batch_size, size), self.layer.compute_dtype))
        return dict(zip(self.names, values, strict=True))

    def pack(self, values):
        """Keras' nested list of states from a named state."""
        count = len(keras.tree.flatten(self.template))
        flat = [values[name] for name in self.names[:count]]
        return keras.tree.pack_sequence_as(self.template, flat)

    def previous_output(self, values):
        if self.output_of is None:
            return values["output"]
        return values[self.names[self.output_of]]

    def replaced(self, state, new_state, initial, reset, called):
        """Within: the layer's `call` reads `state` and writes `new_state`."""
        layer, original = self.layer, self.layer.call

        def call(sequences, initial_state=None, mask=None, training=False):
            self._check_call(sequences, initial_state, reset, called)
            values = state[self.name]
            arguments = {"mask": mask, "training": training}
            by_loop = not self.takes_reset and (reset is not None or mask is not None)
            if self.takes_reset:
                arguments["reset"] = reset
            elif by_loop:
                layer.__dict__["inner_loop"] = self._inner_loop(
                    values, initial[self.name], reset
                )
            returned_state, layer.return_state = layer.return_state, True
            try:
                output, *states = original(
                    sequences, initial_state=self.pack(values), **arguments
                )
            finally:
                layer.return_state = returned_state
                layer.__dict__.pop("inner_loop", None)
            flat = keras.tree.flatten(states)
            if self.output_of is None:
                last = output[:, -1] if layer.return_sequences else output
                flat.append(last)
            new_state[self.name] = dict(zip(self.names, flat, strict=True))
            return (output, *states) if returned_state else output

        return _replaced_call(layer, call)

    def _check_call(self, sequences, initial_state, reset, called):
        name = self.layer.name
        if initial_state is not None:
            raise ValueError(
                f"Layer {name!r} is given an `initial_state` by the model, but its "
                f"state is carried from window to window. Feed that tensor to the "
                f"layer as an input at each step instead (`RepeatVector`)."
            )
        if name in called:
            raise ValueError(
                f"Layer {name!r} is called twice in one pass, so it has two states "
                f"and one name. Make two layers of it."
            )
        called.add(name)
        steps = sequences.shape[1]
        expected = None if reset is None else reset.shape[1]
        if steps is not None and expected is not None and steps != expected:
            raise ValueError(
                f"The sequence that reaches layer {name!r} has {steps} timesteps, "
                f"the model's input has {expected}. A model that changes the length "
                f"of its sequences cannot be reset inside them."
            )

    def _inner_loop(self, values, initial, reset):
        """A replacement for `RNN.inner_loop` that masks and resets across cuts."""
        layer = self.layer

        def inner_loop(sequences, initial_state, mask, training=False):
            takes_training = getattr(layer.cell, "_call_has_training_arg", False)
            options = {"training": training} if takes_training else {}

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


def _state_names(layer, template):
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


def _cell_state_names(cell, template):
    if isinstance(cell, keras.layers.LSTMCell):
        return ["h", "c"]
    if isinstance(cell, keras.layers.GRUCell | keras.layers.SimpleRNNCell):
        return ["h"]
    count = len(keras.tree.flatten(template))
    return [f"state_{index}" for index in range(count)]


def _output_position(layer, template):
    """Where the layer's output stands among its flat states, or `None`."""
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


class Buffers(keras.StatelessScope):
    """Within: variables that a model changes by itself are values, not storage.

    Random seeds, moving averages and the like are read from the values given and
    their new values are kept apart, so that a model's forward pass is a function.

    Args:
        variables: The variables, as `discover` found them.
        values: Their values, in order.
        trainable: The model's trainable variables, read as they are.
    """

    def __init__(self, variables, values, trainable):
        mapping = [*zip(variables, values, strict=True)]
        mapping += [(variable, variable.value) for variable in trainable]
        super().__init__(mapping, collect_losses=True)
        self._variables = list(variables)
        self.changed = []

    def add_update(self, update):
        """Keeps a new value (called by Keras on `variable.assign`)."""
        if all(update[0] is not known for known in self.changed):
            self.changed.append(update[0])
        super().add_update(update)

    def new_values(self):
        """New values of the variables, in order.

        Raises:
            RuntimeError: If another variable was changed as well.
        """
        unknown = [
            variable.path
            for variable in self.changed
            if all(variable is not known for known in self._variables)
        ]
        if unknown:
            raise RuntimeError(
                f"The model changes variables in this call that it did not change "
                f"when it was examined: {unknown}. Change them in every call, or "
                f"in none."
            )
        return [self.get_current_value(variable) for variable in self._variables]


class Findings:
    """What a dry run of a model showed, see `discover`.

    Attributes:
        buffers: Variables that the model changes by itself when it is called.
        sequence_output: True if the outputs have one step for each input step.
        outputs: `tf.TensorSpec` of the outputs, structured like them; rows, and
            timesteps where there are any, are `None`.
        shares_rows: Why the rows of a batch cannot be run apart, or `None`: moving
            averages over the batch, losses added by layers, several outputs.
    """

    def __init__(self, buffers, sequence_output, outputs, shares_rows):
        self.shares_rows = shares_rows
        self.buffers = buffers
        self.sequence_output = sequence_output
        self.outputs = outputs


def discover(step, specs):
    """Traces a model twice, with two lengths, and computes nothing.

    Args:
        step: A `PureStep`.
        specs: Structure of `tf.TensorSpec` like the model's inputs, each
            `(batch, time, ...)`.

    Returns:
        `Findings`.

    Raises:
        ValueError: If only some of the outputs have a time axis.
    """
    traces = [_dry_run(step, specs, 5, True), _dry_run(step, specs, 7, False)]
    buffers, outputs = [], [trace["outputs"] for trace in traces]
    for trace in traces:
        buffers += [
            v for v in trace["changed"] if all(v is not known for known in buffers)
        ]
    shapes = [[tuple(s.shape) for s in tf.nest.flatten(spec)] for spec in outputs]
    sequence = {
        len(a) > 1 and (a[1], b[1]) == (5, 7) for a, b in zip(*shapes, strict=True)
    }
    if len(sequence) > 1:
        raise ValueError(
            f"All outputs must have a time axis, or none. Received: a model "
            f"{step.model.name!r} with outputs {shapes[0]} for 5 timesteps and "
            f"{shapes[1]} for 7."
        )
    fixed = 2 if True in sequence else 1
    specs = tf.nest.map_structure(
        lambda s: tf.TensorSpec([None] * fixed + s.shape[fixed:], s.dtype), outputs[0]
    )
    shares_rows = _shares_rows(buffers, traces[0]["added_losses"], specs)
    return Findings(buffers, True in sequence, specs, shares_rows)


def _shares_rows(buffers, added_losses, outputs):
    averages = [v.path for v in buffers if not v.path.endswith("seed_generator_state")]
    if averages:
        return f"the model updates {averages[0]} from the whole batch"
    if added_losses:
        return "a layer adds a loss of its own"
    if len(tf.nest.flatten(outputs)) > 1:
        return "each of several outputs has an average of its own"
    return None


def _dry_run(step, specs, length, training):
    found = {}

    def run(inputs):
        trainable = step.model.trainable_variables
        with Buffers([], [], trainable) as scope:
            outputs, _ = step(inputs, training=training)
        found["changed"] = scope.changed
        found["added_losses"] = len(scope.losses)
        found["outputs"] = tf.nest.map_structure(
            lambda t: tf.TensorSpec(t.shape, t.dtype), outputs
        )

    specs = tf.nest.map_structure(
        lambda s: tf.TensorSpec([2, length, *s.shape[2:]], s.dtype), specs
    )
    tf.function(run, autograph=False).get_concrete_function(specs)
    return found


@contextlib.contextmanager
def watched_ids(model):
    """Within: each `Embedding` of the model notes whether its ids are in range.

    XLA clamps ids that are out of range without a word, and without XLA the error
    names no layer. So they are clamped here and the finding says whether that
    changed any.

    Args:
        model: A built `keras.Model`.

    Yields:
        Dict that fills up as the model is called: layer name to scalar boolean.
    """
    found = {}
    with _LOCK, contextlib.ExitStack() as replaced:
        for layer in model._flatten_layers():
            if isinstance(layer, keras.layers.Embedding):
                replaced.enter_context(_noting_ids(layer, found))
        yield found


@contextlib.contextmanager
def _replaced_call(layer, call):
    """Within: `layer` runs `call` for its own."""
    # An entry of the instance dictionary hides the method; Keras' attribute tracking
    # is not meant for it.
    layer.__dict__["call"] = call
    try:
        yield
    finally:
        del layer.__dict__["call"]


def _drawing_fast(layer):
    """Within: Keras' `Dropout` draws numbers that XLA makes fast on a CPU."""

    def call(inputs, training=False):
        if not training or layer.rate == 0:
            return inputs
        seed = layer.seed_generator.next()
        return dropout(inputs, layer.rate, seed, layer.noise_shape)

    return _replaced_call(layer, call)


def _noting_ids(layer, found):
    original = layer.call

    def call(inputs, *args, **kwargs):
        ids = tf.cast(inputs, tf.int32)
        valid = tf.reduce_all((ids >= 0) & (ids < layer.input_dim))
        found[layer.name] = found.get(layer.name, True) & valid
        ids = tf.clip_by_value(ids, 0, layer.input_dim - 1)
        return original(ids, *args, **kwargs)

    return _replaced_call(layer, call)
