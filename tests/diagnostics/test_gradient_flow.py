"""`gradient_flow` against closed forms, finite differences and itself."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.diagnostics import gradient_flow


def linear(factor, units=3, return_sequences=True):
    """A state that is multiplied by `factor` each step; its first unit is put out."""
    layer = bk.layers.SimpleRNN(
        units,
        activation="linear",
        use_bias=False,
        recurrent_initializer=keras.initializers.Identity(factor),
        return_sequences=return_sequences,
        name="memory",
    )
    out = keras.layers.Dense(
        1, use_bias=False, kernel_initializer=keras.initializers.Identity()
    )
    return keras.Sequential([keras.layers.Input((None, 2)), layer, out])


def data(rows=4, steps=40, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, steps, 2)).astype("float32")
    return x, rng.normal(size=(rows, steps, 1)).astype("float32")


@pytest.mark.parametrize("factor", [0.5, 0.9, 1.0, 1.1])
@pytest.mark.quick(2)
def test_a_linear_state_has_its_factor_as_decay(factor):
    flow = gradient_flow(linear(factor), data(), loss="mse", longest=20, samples=3)
    ratios = flow.norms[1:] / flow.norms[:-1]
    np.testing.assert_allclose(ratios, factor, rtol=1e-4)
    np.testing.assert_allclose(flow.decay, factor, rtol=1e-4)
    np.testing.assert_allclose(flow.jacobian, factor**flow.lags, rtol=1e-4)


def test_the_norm_is_that_of_the_loss_of_one_timestep():
    x, y = data()
    model = linear(0.9)
    flow = gradient_flow(model, (x, y), loss="mse", longest=5, samples=3)
    outputs = model.predict(x, verbose=0)
    # d (out - y)^2 / d state = 2 (out - y), times 0.9 for each step back.
    times = np.linspace(5, 39, 3).astype(int)
    error = np.abs(2 * (outputs - y)[:, times]).mean()
    np.testing.assert_allclose(flow.norms, error * 0.9**flow.lags, rtol=1e-4)


def test_layers_are_separate_and_agree_with_finite_differences():
    keras.utils.set_random_seed(7)
    model = keras.Sequential(
        [
            keras.layers.Input((None, 2)),
            bk.layers.LSTM(3, return_sequences=True, name="lower"),
            keras.layers.GRU(2, return_sequences=True, name="upper"),
            keras.layers.Dense(1),
        ]
    )
    x, y = data(rows=1, steps=9)
    flow = gradient_flow(model, (x, y), loss="mse", longest=6, samples=1)
    step = bk.PureStep(model)
    # The one sample stands at timestep 6; a lag of 4 is the state before timestep 3.
    _, state = step(x[:, :3], step.initial_state(1))

    def loss(state):
        outputs, _ = step(x[:, 3:7], state)
        return float((outputs[0, -1, 0] - y[0, 6, 0]) ** 2)

    for layer in ("lower", "upper"):
        slopes = []
        for name, value in state[layer].items():
            for unit in range(value.shape[1]):
                moved = []
                for sign in (1, -1):
                    change = np.zeros(value.shape, "float32")
                    change[0, unit] = sign * 1e-2
                    other = {**state[layer], name: value + change}
                    moved.append(loss({**state, layer: other}))
                slopes.append((moved[0] - moved[1]) / 2e-2)
        # Differences of float32 losses.
        np.testing.assert_allclose(
            flow.layers[layer][3], np.linalg.norm(slopes), rtol=2e-3
        )
    np.testing.assert_allclose(
        flow.norms, np.hypot(flow.layers["lower"], flow.layers["upper"]), rtol=1e-4
    )


def test_a_loss_at_the_end_is_measured_there():
    x, y = data()
    model = linear(0.8, return_sequences=False)
    flow = gradient_flow(model, (x, y[:, 0]), loss="mse", longest=10)
    error = np.abs(2 * (model.predict(x, verbose=0) - y[:, 0])).mean()
    np.testing.assert_allclose(flow.norms, error * 0.8**flow.lags, rtol=1e-4)


@pytest.mark.slow
def test_batches_of_a_stream_are_joined():
    ids = np.random.default_rng(0).integers(0, 9, 4 * 60 + 1)
    model = keras.Sequential(
        [
            keras.layers.Embedding(9, 3),
            bk.layers.GRU(4, return_sequences=True),
            keras.layers.Dense(9),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=10)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trainer.compile("sgd", loss)
    stream = bk.data.streams(ids, batch_size=4, window=10)
    trainer.fit(stream, verbose=0)
    flow = gradient_flow(trainer, stream, longest=25)
    whole = (ids[:-1].reshape(4, 60)[:, :30], ids[1:].reshape(4, 60)[:, :30])
    expected = gradient_flow(model, whole, loss=loss, longest=25)
    np.testing.assert_allclose(flow.norms, expected.norms, rtol=1e-4)


def test_nothing_of_the_model_changes():
    model = linear(0.9)
    before = model.get_weights()
    gradient_flow(model, data(), loss="mse", longest=5)
    for a, b in zip(before, model.get_weights(), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
def test_keras_layers_and_ours_flow_alike():
    flows = []
    for layer in (keras.layers.LSTM, bk.layers.LSTM):
        keras.utils.set_random_seed(3)
        model = keras.Sequential(
            [
                keras.layers.Input((None, 2)),
                layer(4, return_sequences=True),
                keras.layers.Dense(1),
            ]
        )
        flows.append(gradient_flow(model, data(), loss="mse", longest=12))
    np.testing.assert_allclose(flows[0].norms, flows[1].norms, rtol=1e-4)
    np.testing.assert_allclose(flows[0].jacobian, flows[1].jacobian, rtol=1e-4)


def test_an_input_without_time_may_accompany_those_with_it():
    keras.utils.set_random_seed(0)
    sequence, speaker = keras.layers.Input((None, 2)), keras.layers.Input((8,))
    hidden = bk.layers.GRU(3, return_sequences=True)(sequence)
    context = keras.layers.Dense(3)(speaker)
    both = hidden + keras.layers.Reshape((1, 3))(context)
    model = keras.Model([sequence, speaker], keras.layers.Dense(1)(both))
    x, y = data()
    flow = gradient_flow(model, ([x, np.ones((4, 8))], y), loss="mse", longest=10)
    assert flow.kind() == "vanishing"


def test_padding_by_the_models_own_mask_is_refused():
    model = keras.Sequential(
        [
            keras.layers.Embedding(7, 4, mask_zero=True),
            bk.layers.GRU(5, return_sequences=True),
            keras.layers.Dense(7),
        ]
    )
    ids = np.random.default_rng(0).integers(1, 7, (4, 30))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model(ids)
    gradient_flow(model, (ids, ids), loss=loss, longest=5)
    padded = ids.copy()
    padded[:, 20:] = 0
    with pytest.raises(ValueError, match="the model masks some"):
        gradient_flow(model, (padded, padded), loss=loss, longest=5)


def test_a_stream_ends_where_another_sequence_begins():
    x, y = data(steps=10)
    flags = [np.ones(4, bool), np.zeros(4, bool), np.ones(4, bool)]
    batches = tf.data.Dataset.from_tensor_slices(
        ({"inputs": [x] * 3, "reset": flags, "position": np.zeros((3, 4))}, [y] * 3)
    )
    with pytest.raises(ValueError, match="longest=20 and 20 timesteps"):
        gradient_flow(linear(0.9), batches, loss="mse", longest=20)


def test_two_timesteps_suffice_to_detect_outputs_at_each_timestep():
    x, y = data(steps=2)
    with pytest.raises(ValueError, match="longer than `longest`"):
        gradient_flow(linear(0.9), (x, y), loss="mse")


def untimed():
    return keras.Sequential([keras.layers.Input((None, 2)), keras.layers.Dense(1)])


def two_outputs():
    inputs = keras.layers.Input((None, 2))
    hidden = bk.layers.GRU(2, return_sequences=True)(inputs)
    return keras.Model(inputs, [hidden, hidden])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"loss": None}, ValueError, "needs a loss"),
        ({"longest": 40}, ValueError, "longest=40 and 40 timesteps"),
        ({"longest": 1}, ValueError, "at least 2"),
        ({"samples": 0}, ValueError, "at least 1"),
        ({"data": data()[0]}, TypeError, "must be `\\(x, y\\)`"),
        ({"data": (np.ones((0, 5, 2)), np.ones((0, 5, 1)))}, ValueError, "one row"),
        ({"model": untimed()}, ValueError, "no state"),
        ({"model": two_outputs()}, ValueError, "one output"),
        ({"data": (data()[0], data()[1][:, :5])}, ValueError, "like the inputs"),
        ({"data": (data()[0], data()[1][:2])}, ValueError, "\\(4, 40\\) here"),
        ({"loss": {"a": "mse", "b": "mse"}}, ValueError, "takes one loss"),
        (
            {"data": ({"inputs": data()[0], "lengths": np.full(4, 3)}, data()[1])},
            ValueError,
            "all valid",
        ),
        (
            {
                "data": (
                    {"inputs": data()[0], "reset": np.ones((4, 40), bool)},
                    data()[1],
                )
            },
            ValueError,
            "not interrupted",
        ),
        (
            {"data": tf.data.Dataset.from_tensors((*data(), np.ones(4)))},
            ValueError,
            "sample weights",
        ),
        (
            {"data": tf.data.Dataset.from_tensors(data()[0])},
            ValueError,
            "batches without y",
        ),
    ],
    ids=str,
)
def test_what_cannot_be_measured_is_refused(change, error, message):
    arguments = {"model": linear(0.9), "data": data(), "loss": "mse"} | change
    model, given = arguments.pop("model"), arguments.pop("data")
    with pytest.raises(error, match=message):
        gradient_flow(model, given, **arguments)


def test_many_looks_are_no_reason_for_a_warning_of_tensorflow(caplog):
    with caplog.at_level("WARNING", logger="tensorflow"):
        for _ in range(6):
            gradient_flow(linear(0.9), data(steps=12), loss="mse", longest=3)
    assert "retracing" not in caplog.text
