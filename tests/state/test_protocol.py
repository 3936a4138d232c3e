"""A custom layer is carried by implementing two methods."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.state import check_carriable
from tests.state.layers import CausalConvolution
from tests.test_state import sequential

CUTS = (slice(0, 1), slice(1, 4), slice(4, 11))


def data(rows=3, steps=11):
    x = np.random.default_rng(0).normal(size=(rows, steps, 3)).astype("float32")
    x[0, 3:5] = x[1, 8:] = x[2, 0] = 0.0  # masked, where the model masks
    return x


def convolution(*, masked=False, **options):
    first = [keras.layers.Masking(0.0)] if masked else []
    layer = CausalConvolution(2, 3, name="conv", **options)
    return sequential(*first, layer, bk.layers.GRU(2, return_sequences=True))


def reference(layer, x, *, mask=None, reset=None):
    """The convolution in NumPy, row by row and step by step."""
    kernel, bias = (w.numpy() for w in (layer.kernel, layer.bias))
    outputs = np.zeros((*x.shape[:2], kernel.shape[-1]))
    for row in range(len(x)):
        past, output = np.zeros((2, 3)), np.zeros(kernel.shape[-1])
        for t in range(x.shape[1]):
            if reset is not None and reset[row, t]:
                past, output = np.zeros((2, 3)), np.zeros(kernel.shape[-1])
            if mask is None or mask[row, t]:
                seen = np.concatenate([past, x[row, t][None]])
                output, past = np.einsum("kf,kfo->o", seen, kernel) + bias, seen[1:]
            outputs[row, t] = output
    return outputs


def reset_flags():
    flags = np.zeros((3, 11), bool)
    flags[0, 6] = flags[1, 0] = flags[2, 4] = flags[0, 3] = True
    return flags


@pytest.mark.parametrize("flags", ["plain", "mask", "reset", "mask and reset"])
def test_a_convolution_equals_plain_loops_in_any_pieces(flags):
    layer = CausalConvolution(2, 3, name="conv", bias_initializer="normal")
    first = [keras.layers.Masking(0.0)] if "mask" in flags else []
    step, x = bk.PureStep(sequential(*first, layer)), data()
    mask = (x != 0).any(-1) if "mask" in flags else None
    reset = reset_flags() if "reset" in flags else None
    expected = reference(layer, x, mask=mask, reset=reset)
    for windows in (slice(None),), CUTS:
        state, pieces = None, []
        for window in windows:
            cut = None if reset is None else reset[:, window]
            piece, state = step(x[:, window], state, reset=cut)
            pieces.append(piece)
        np.testing.assert_allclose(np.concatenate(pieces, 1), expected, atol=1e-6)


def test_invalid_steps_reach_the_layer_as_its_mask():
    step, x = bk.PureStep(sequential(CausalConvolution(2, 3, name="conv"))), data()
    valid = np.random.default_rng(1).random(x.shape[:2]) > 0.3
    outputs, _ = step(x, valid=valid)
    expected = reference(step.layers["conv"], x, mask=valid)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


def test_the_layers_own_call_is_used_everywhere_else():
    model = convolution(masked=True)
    x = data()
    np.testing.assert_allclose(model(x), bk.PureStep(model)(x)[0], atol=1e-6)
    np.testing.assert_allclose(model(x), model.predict(x, verbose=0), atol=1e-6)


@pytest.mark.parametrize("masked", [False, True])
def test_xla_equals_eager(masked):
    step, x = bk.PureStep(convolution(masked=masked)), data()
    compiled = tf.function(lambda x, r: step(x, reset=r), jit_compile=True)
    received = tf.nest.flatten(compiled(x, reset_flags()))
    expected = tf.nest.flatten(step(x, reset=reset_flags()))
    for a, b in zip(received, expected, strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


def test_gradients_reach_the_layer():
    step, x = bk.PureStep(convolution()), data()
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(step(x, reset=reset_flags())[0] ** 2)
    gradients = tape.gradient(loss, step.model.trainable_variables)
    assert all(np.abs(g).sum() > 0 for g in gradients)


def test_a_trainer_trains_and_describes_it(capsys):
    model = convolution(masked=True)
    trainer = bk.TruncatedBPTT(model, window=4, shards=1)
    trainer.compile("sgd", "mse")
    trainer.fit(data(), np.zeros((3, 11, 2), "float32"), verbose=0)
    trainer.summary()
    assert "past (2, 3), output (2,)" in capsys.readouterr().out


class Noting(keras.layers.Layer):
    """Notes what it is told; has a mask without asking for it in `call`."""

    def __init__(self):
        super().__init__(name="noting")
        self.told, self.supports_masking = {}, True

    def get_initial_state(self, batch_size):
        return {"count": tf.zeros((batch_size, 1))}

    def call_with_state(self, inputs, state, *, training=False, mask=None, reset=None):
        self.told.update({"training": training, "mask": mask, "reset": reset})
        return inputs, {"count": state["count"] + inputs.shape[1]}

    def call(self, inputs):
        return inputs


def test_training_and_masks_reach_a_layer_that_does_not_ask_for_them():
    layer = Noting()
    model = sequential(keras.layers.Masking(0.0), layer)
    x = data()
    _, state = bk.PureStep(model)(x, training=True)
    assert layer.told["training"] is True and layer.told["reset"] is None
    np.testing.assert_array_equal(layer.told["mask"], (x != 0).any(-1))
    assert state["noting"]["count"].numpy().tolist() == [[11]] * 3


class Owner(keras.layers.Layer):
    """Owns layers that would be refused or carried anywhere else."""

    def __init__(self):
        super().__init__(name="owner")
        self.both = keras.layers.Bidirectional(keras.layers.GRU(2))
        self.alone = keras.layers.GRUCell(2)

    def get_initial_state(self, batch_size):
        return {"nothing": tf.zeros((batch_size, 0))}

    def call_with_state(self, inputs, state, *, training=False, mask=None, reset=None):
        return inputs, state

    def call(self, inputs):
        self.both(inputs), self.alone(inputs[:, 0], self.alone.get_initial_state(1))
        return inputs


def test_the_content_of_such_a_layer_is_not_examined():
    model = sequential(Owner())
    check_carriable(model)
    model(np.zeros((1, 2, 3), "float32"))
    assert list(bk.PureStep(model).layers) == ["owner"]


class Whole(keras.Model):
    """A model that follows the protocol itself."""

    def get_initial_state(self, batch_size):
        return {"sum": tf.zeros((batch_size, 3))}

    def call_with_state(self, inputs, state, *, training=False, mask=None, reset=None):
        outputs = tf.cumsum(inputs, axis=1) + state["sum"][:, None]
        return outputs, {"sum": outputs[:, -1]}

    def call(self, inputs):
        return tf.cumsum(inputs, axis=1)


def test_a_model_may_follow_the_protocol_itself():
    model, x = Whole(), np.ones((1, 4, 3), "float32")
    model(x)
    step = bk.PureStep(model)
    _, state = step(x)
    assert step(x, state)[0][0, :, 0].numpy().tolist() == [5, 6, 7, 8]


def without(*names, **methods):
    """A model with a layer that breaks the protocol."""
    members = {name: value for name, value in vars(Noting).items() if name not in names}
    layer = type("Broken", (keras.layers.Layer,), {**members, **methods})
    # `super()` without arguments knows only the class it was written in.
    layer.__init__ = lambda self: (
        keras.layers.Layer.__init__(self, name="noting"),
        setattr(self, "told", {}),
    )[0]
    return sequential(layer())


BROKEN = {
    "no initial state": (
        {"names": ["get_initial_state"]},
        "'noting' .* has `call_with_state` and no `get_initial_state`",
    ),
    "an unnamed state": (
        {"get_initial_state": lambda self, batch_size: [tf.zeros((batch_size, 1))]},
        "must return a dict from names to tensors",
    ),
    "another name": (
        {"call_with_state": lambda self, x, state, **_: (x, {"other": x[:, 0]})},
        "'noting' .* must return a state like.*Received: {'other'",
    ),
    "another shape": (
        {"call_with_state": lambda self, x, state, **_: (x, {"count": x[:, 0]})},
        r"Expected: {'count': \(\(1,\).*Received: {'count': \(\(3,\)",
    ),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_protocol_is_refused_by_name(case):
    changes, message = BROKEN[case]
    model = without(*changes.pop("names", []), **changes)
    with pytest.raises(ValueError, match=message):
        bk.PureStep(model)(data())


class TwoInputs(Noting):
    def call(self, inputs, others=None):
        return inputs if others is None else inputs + others


def test_more_inputs_than_the_protocol_takes_are_refused():
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, TwoInputs()(inputs, others=inputs))
    with pytest.raises(ValueError, match=r"'noting' .* called with \['others'\]"):
        bk.PureStep(model)(data())


def test_a_convolution_without_a_state_is_still_refused():
    with pytest.raises(ValueError, match="needs its neighbours across the cut"):
        bk.PureStep(sequential(keras.layers.Conv1D(2, 3)))
