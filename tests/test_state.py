"""A model as a pure step: cutting time changes nothing, for any model."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.state import discover
from tests.training.references import series


def sequential(*layers, features=3):
    return keras.Sequential([keras.Input((None, features)), *layers])


def nested():
    inner = sequential(keras.layers.GRU(4, return_sequences=True), features=5)
    inputs = keras.Input((None, 3))
    hidden = keras.layers.LSTM(5, return_sequences=True)(inputs)
    outputs = keras.layers.Dense(2)(inner(hidden) + hidden[..., :4])
    return keras.Model(inputs, outputs)


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.recurrent = keras.layers.SimpleRNN(4, return_sequences=True)
        self.mix = keras.layers.Dense(3)
        self.second = bk.layers.LSTM(2, return_sequences=True)

    def call(self, inputs, training=False):
        return self.second(self.mix(self.recurrent(inputs)) + inputs)


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 2, 3), "float32"))
    return model


def stacked():
    cells = [keras.layers.LSTMCell(4), keras.layers.GRUCell(2)]
    return sequential(keras.layers.RNN(cells, return_sequences=True))


class SummingCell(keras.layers.Layer):
    """Counts: the output is not the state, which is nested."""

    state_size = [1, 1]
    output_size = 3

    def get_initial_state(self, batch_size=None):
        return [tf.zeros((batch_size, 1)), tf.ones((batch_size, 1))]

    def call(self, inputs, states):
        total, count = states
        total += tf.reduce_sum(inputs, -1, keepdims=True)
        return tf.concat([total, count, 2 * total], -1), [total, count + 1]


class Frames(keras.layers.Layer):
    """`(batch, time, 12)` as frames of 4 positions and 3 channels."""

    def call(self, inputs):
        shape = tf.shape(inputs)
        frames = tf.reshape(inputs, [shape[0], shape[1], 4, 3])
        frames.set_shape([*inputs.shape[:2], 4, 3])
        return frames


MODELS = {
    "LSTM": lambda: sequential(keras.layers.LSTM(4, return_sequences=True)),
    "GRU": lambda: sequential(keras.layers.GRU(4, return_sequences=True)),
    "SimpleRNN": lambda: sequential(keras.layers.SimpleRNN(4, return_sequences=True)),
    "fused LSTM": lambda: sequential(bk.layers.LSTM(4, return_sequences=True)),
    "fused GRU": lambda: sequential(bk.layers.GRU(4, return_sequences=True)),
    "fused SimpleRNN": lambda: sequential(
        bk.layers.SimpleRNN(4, return_sequences=True)
    ),
    "two layers": lambda: sequential(
        keras.layers.LSTM(4, return_sequences=True, name="a"),
        bk.layers.LSTM(4, return_sequences=True, name="b"),
    ),
    "nested": nested,
    "subclassed": subclassed,
    "StackedRNNCells": stacked,
    "own cell": lambda: sequential(
        keras.layers.RNN(SummingCell(), return_sequences=True)
    ),
    "ConvLSTM1D": lambda: sequential(
        Frames(), keras.layers.ConvLSTM1D(2, 2, return_sequences=True), features=12
    ),
    "masked": lambda: sequential(
        keras.layers.Masking(0.0),
        keras.layers.LSTM(4, return_sequences=True),
        bk.layers.GRU(4, return_sequences=True),
        keras.layers.RNN(SummingCell(), return_sequences=True),
    ),
    "masked to zeros": lambda: sequential(
        keras.layers.Masking(0.0),
        keras.layers.LSTM(4, return_sequences=True, zero_output_for_mask=True),
        bk.layers.LSTM(4, return_sequences=True, zero_output_for_mask=True),
    ),
    "no state": lambda: sequential(keras.layers.Dense(2)),
    "last output": lambda: sequential(keras.layers.GRU(4)),
    "masked last output": lambda: sequential(
        keras.layers.Masking(0.0), keras.layers.RNN(SummingCell())
    ),
}
# The quick ones of a battery: each kind of layer, cell and mask once.
FEW = (
    *("LSTM", "GRU", "fused LSTM", "two layers", "nested", "StackedRNNCells"),
    *("own cell", "masked"),
)


def few(names):
    """Names of models as parameters, all but `FEW` for the slow tests."""
    return [n if n in FEW else pytest.param(n, marks=pytest.mark.slow) for n in names]


def data_for(model, rows=3, steps=11):
    features = 3 if not getattr(model, "inputs", None) else model.inputs[0].shape[-1]
    x = np.random.default_rng(0).normal(size=(rows, steps, features))
    # Masked: in the middle, at cuts, at the end of one row and all of another.
    x[0, 4:7] = x[1, 8:] = x[2, 0] = 0.0
    return x.astype("float32")


def in_pieces(step, x, cuts, **options):
    state, outputs = step.initial_state(len(x)), []
    for start, stop in zip([0, *cuts], [*cuts, x.shape[1]], strict=True):
        piece, state = step(x[:, start:stop], state, **options)
        outputs.append(np.asarray(piece))
    return outputs, state


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("cuts", [[5], [1, 4, 5, 10]])
@pytest.mark.quick(17)
def test_cutting_time_changes_neither_outputs_nor_state(name, cuts):
    model = MODELS[name]()
    step, x = bk.PureStep(model), data_for(model)
    whole, last = step(x)
    pieces, state = in_pieces(step, x, cuts)
    joined = np.concatenate(pieces, 1) if "last" not in name else pieces[-1]
    np.testing.assert_allclose(joined, whole, atol=1e-6)
    np.testing.assert_allclose(whole, model(x), atol=1e-6)
    for a, b in zip(tf.nest.flatten(state), tf.nest.flatten(last), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("name", few(MODELS))
def test_xla_equals_eager(name):
    model = MODELS[name]()
    step, x = bk.PureStep(model), data_for(model)

    @tf.function(jit_compile=True)
    def compiled(x, state, reset):
        return step(x, state, reset=reset)

    reset = np.zeros(x.shape[:2], bool)
    reset[0, 3] = reset[1, 0] = reset[2, 10] = True
    _, state = step(x[:, :4])
    outputs, new = compiled(x, state, reset)
    expected, expected_new = step(x, state, reset=reset)
    np.testing.assert_allclose(outputs, expected, atol=1e-6)
    for a, b in zip(tf.nest.flatten(new), tf.nest.flatten(expected_new), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("name", [name for name in MODELS if "last" not in name])
def test_a_reset_equals_a_fresh_start(name):
    model = MODELS[name]()
    step, x = bk.PureStep(model), data_for(model)
    reset = np.zeros(x.shape[:2], bool)
    reset[0, 6] = reset[1, 6] = True
    outputs, _ = step(x, reset=reset)
    fresh, _ = step(x[:, 6:])
    unbroken, _ = step(x)
    np.testing.assert_allclose(outputs[:2, 6:], fresh[:2], atol=1e-6)
    np.testing.assert_allclose(outputs[:, :6], unbroken[:, :6], atol=1e-6)
    np.testing.assert_allclose(outputs[2], unbroken[2], atol=1e-6)


def test_a_counting_cell_counts_across_cuts_and_resets():
    model = sequential(
        keras.layers.RNN(SummingCell(), return_sequences=True, name="rnn"), features=1
    )
    step = bk.PureStep(model)
    ones = np.ones((2, 3, 1), "float32")
    _, state = step(ones)
    outputs, state = step(ones, state, reset=np.array([False, True]))
    assert outputs[:, :, 0].numpy().tolist() == [[4, 5, 6], [1, 2, 3]]
    assert outputs[:, :, 1].numpy().tolist() == [[4, 5, 6], [1, 2, 3]]
    assert state["rnn"]["state_1"].numpy().ravel().tolist() == [7, 4]


def test_the_state_is_named():
    model = sequential(
        keras.layers.LSTM(4, return_sequences=True, name="low"),
        keras.layers.RNN(
            [keras.layers.GRUCell(3), keras.layers.LSTMCell(2)], name="high"
        ),
    )
    state = bk.PureStep(model).initial_state(5)
    shapes = {
        layer: {name: tuple(t.shape) for name, t in values.items()}
        for layer, values in state.items()
    }
    assert shapes == {
        "low": {"h": (5, 4), "c": (5, 4)},
        "high": {"h_0": (5, 3), "h_1": (5, 2), "c_1": (5, 2)},
    }


def test_layers_of_one_name_in_nested_models_stay_separate():
    inner = sequential(keras.layers.GRU(4, return_sequences=True, name="same"))
    outer = keras.Sequential(
        [
            keras.Input((None, 3)),
            inner,
            keras.layers.GRU(4, return_sequences=True, name="same"),
        ]
    )
    assert list(bk.PureStep(outer).layers) == ["same", "same_1"]


def test_a_layer_within_a_timestep_is_not_carried():
    words = keras.Sequential([keras.Input((4, 3)), keras.layers.GRU(2)])
    model = keras.Sequential(
        [keras.Input((None, 4, 3)), keras.layers.TimeDistributed(words)]
    )
    step = bk.PureStep(model)
    assert step.layers == {}
    x = np.random.default_rng(0).normal(size=(2, 5, 4, 3)).astype("float32")
    np.testing.assert_allclose(step(x)[0], model(x), atol=1e-6)


class ByHand(keras.Model):
    def __init__(self):
        super().__init__()
        self.cell = keras.layers.GRUCell(2, name="lonely")

    def call(self, inputs):
        state = tf.zeros((tf.shape(inputs)[0], 2))
        for step in range(inputs.shape[1]):
            state, _ = self.cell(inputs[:, step], [state])
        return state


REFUSED = {
    "a cell in a loop by hand": (lambda: ByHand(), "'lonely'.*keras.layers.RNN"),
    "Bidirectional": (
        lambda: sequential(
            keras.layers.Bidirectional(keras.layers.GRU(2), name="both")
        ),
        "'both'.*backward half needs the future",
    ),
    "go_backwards": (
        lambda: sequential(keras.layers.GRU(2, go_backwards=True, name="back")),
        "'back'.*Reverse the data",
    ),
    "stateful": (
        lambda: keras.Sequential(
            [
                keras.Input(batch_shape=(2, None, 3)),
                keras.layers.GRU(2, stateful=True, name="own"),
            ]
        ),
        "'own'.*state is carried for you",
    ),
    "attention": (
        lambda: attention(),
        "'look'.*every timestep",
    ),
    "convolution": (
        lambda: sequential(keras.layers.Conv1D(2, 3, name="blur")),
        "'blur'.*needs its neighbours",
    ),
    "pooling": (
        lambda: sequential(keras.layers.GlobalMaxPooling1D(name="pool")),
        "'pool'.*pools",
    ),
}


def attention():
    inputs = keras.Input((None, 3))
    return keras.Model(inputs, keras.layers.Attention(name="look")([inputs, inputs]))


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_carried_is_refused_by_name(case):
    build, message = REFUSED[case]
    model = build()
    for use in (bk.PureStep, lambda model: bk.TruncatedBPTT(model, window=2)):
        with pytest.raises(ValueError, match=message):
            use(model)


def test_a_pointwise_convolution_is_carried():
    model = sequential(keras.layers.Conv1D(2, 1))
    bk.PureStep(model)


def test_a_layer_that_is_called_twice_is_refused():
    layer = keras.layers.GRU(3, return_sequences=True, name="twice")
    inputs = keras.Input((None, 3))
    model = keras.Model(inputs, layer(layer(inputs)))
    with pytest.raises(ValueError, match="'twice' is called twice"):
        bk.PureStep(model)(np.zeros((1, 2, 3), "float32"))
    layer(np.zeros((1, 2, 3), "float32"))  # nothing stays replaced


def test_a_layer_that_the_model_gives_a_state_is_refused():
    inputs = keras.Input((None, 3))
    first, state = keras.layers.GRU(3, return_sequences=True, return_state=True)(inputs)
    outputs = keras.layers.GRU(3, return_sequences=True, name="given")(
        first, initial_state=state
    )
    with pytest.raises(ValueError, match="'given' is given an `initial_state`"):
        bk.PureStep(keras.Model(inputs, outputs))(np.zeros((1, 2, 3), "float32"))


def test_a_state_of_another_model_is_refused():
    step = bk.PureStep(MODELS["LSTM"]())
    with pytest.raises(ValueError, match="structure that `initial_state` returns"):
        step(np.zeros((1, 2, 3), "float32"), {"other": {"h": 0}})


def test_return_state_gives_the_model_its_own_outputs():
    inputs = keras.Input((None, 3))
    outputs, h, c = bk.layers.LSTM(4, return_sequences=True, return_state=True)(inputs)
    model = keras.Model(inputs, [outputs, h, c])
    x = data_for(model)
    for a, b in zip(bk.PureStep(model)(x)[0], model(x), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.parametrize("both", [True, False])
def test_a_dry_run_shows_whether_a_mask_reaches_all_recurrent_layers(both):
    a, b = keras.Input((None, 2)), keras.Input((None, 2))
    branches = [keras.layers.Masking()(a), keras.layers.Masking()(b) if both else b]
    hidden = [keras.layers.SimpleRNN(2)(branch) for branch in branches]
    model = keras.Model([a, b], keras.layers.Add()(hidden))
    spec = tf.TensorSpec([None, None, 2], tf.float32)
    assert discover(bk.PureStep(model), [spec, spec]).all_masked is both


def test_a_dry_run_distinguishes_outputs_with_time_from_those_without():
    spec = tf.TensorSpec([None, None, 5], tf.float32)
    for return_sequences in (True, False):
        # As many units and features as the dry run has timesteps.
        model = sequential(
            keras.layers.GRU(5, return_sequences=return_sequences), features=5
        )
        traits = discover(bk.PureStep(model), spec)
        assert traits.sequence_output is return_sequences


def test_layers_of_one_name_in_two_inner_models_run():
    def part(features):
        return keras.Sequential(
            [
                keras.Input((None, features)),
                keras.layers.LSTM(3, return_sequences=True, name="rnn"),
            ]
        )

    model = keras.Sequential([keras.Input((None, 2)), part(2), part(3)])
    x = series(2, 5, features=2)[0]
    np.testing.assert_allclose(bk.PureStep(model)(x)[0], model(x), atol=1e-6)
