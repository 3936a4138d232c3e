"""An initial state that is trained, and where its gradient comes from."""

import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from tests.training.references import series

pytestmark = pytest.mark.both_ways

LAYERS = [bk.layers.LSTM, bk.layers.GRU, bk.layers.SimpleRNN]


class LearningCell(keras.layers.SimpleRNNCell):
    """A user's own cell whose first state is a weight."""

    def build(self, shape):
        super().build(shape)
        self.first = self.add_weight(shape=(self.units,), name="first")

    def get_initial_state(self, batch_size=None):
        return [tf.broadcast_to(tf.convert_to_tensor(self.first), (batch_size, 4))]


def learned(layer):
    if layer == "cell":
        return keras.layers.RNN(LearningCell(4), return_sequences=True)
    return layer(4, return_sequences=True, learn_initial_state=True)


def model_of(layer, seed=1):
    keras.utils.set_random_seed(seed)
    layers = [keras.Input((None, 3)), learned(layer), keras.layers.Dense(2)]
    model = keras.Sequential(layers)
    random = np.random.default_rng(2)
    model.set_weights([random.normal(size=w.shape) for w in model.get_weights()])
    return model


def weights_of_state(model):
    names = ("first", "initial_h", "initial_c")
    return [v for v in model.trainable_variables if v.path.split("/")[-1] in names]


def trained(model, x, y, window, reset=None, jit_compile=False):
    trainer = bk.TruncatedBPTT(model, window, shards=1)
    trainer.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=jit_compile)
    before = [v.numpy() for v in weights_of_state(model)]
    trainer.train_on_batch(x if reset is None else {"inputs": x, "reset": reset}, y)
    after = [v.numpy() for v in weights_of_state(model)]
    return [a - b for a, b in zip(before, after, strict=True)]


def by_differences(model, x, y, reset=None, step=1e-2):
    """Central differences of the loss of one window for the weights of the state."""
    pure = bk.PureStep(model)

    def loss():
        outputs, _ = pure(x, reset=reset)
        return float(np.mean((np.float64(outputs) - y) ** 2))

    found = []
    for variable in weights_of_state(model):
        value, gradient = variable.numpy(), np.zeros(variable.shape)
        for index in np.ndindex(*value.shape):
            ends = []
            for sign in (1, -1):
                moved = value.copy()
                moved[index] += sign * step
                variable.assign(moved)
                ends.append(loss())
            gradient[index] = (ends[0] - ends[1]) / (2 * step)
        variable.assign(value)
        found.append(gradient)
    return found


def assert_close(found, expected):
    assert len(found) == len(expected) > 0
    for one, other in zip(found, expected, strict=True):
        # Differences of a float32 loss.
        np.testing.assert_allclose(one, other, atol=2e-4)
        assert np.abs(other).max() > 1e-3


# Each layer and each kind of flag; the LSTM has two states.
QUICK = [(bk.layers.LSTM, None), (bk.layers.LSTM, "inside"), (bk.layers.GRU, "rows")]
QUICK += [(bk.layers.SimpleRNN, "inside"), ("cell", "rows")]
CASES = [
    case if case in QUICK else pytest.param(*case, marks=pytest.mark.slow)
    for case in itertools.product([*LAYERS, "cell"], [None, "rows", "inside"])
]


@pytest.mark.parametrize(("layer", "flags"), CASES)
@pytest.mark.quick(1)
def test_gradient_comes_from_rows_that_start_and_resets_inside(layer, flags):
    x, y = series(3, 6)
    reset = None
    if flags == "rows":
        reset = np.array([True, False, True])
    elif flags == "inside":
        reset = np.zeros((3, 6), bool)
        reset[0, 3] = reset[2, 1] = reset[2, 5] = True
    model = model_of(layer)
    expected = by_differences(model, x, y, reset)
    assert_close(trained(model, x, y, 6, reset), expected)


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.quick(1)
def test_windows_after_the_first_have_no_gradient_for_it(jit_compile):
    x, y = series(3, 9)
    model = model_of(bk.layers.LSTM)
    first = by_differences(model, x[:, :3], y[:, :3])
    found = trained(model, x, y, 3, jit_compile=jit_compile)
    assert_close(found, first)


@pytest.mark.slow
@pytest.mark.parametrize(
    "recompute",
    ["sqrt", pytest.param(bk.truncation.Revolve(2), marks=pytest.mark.slow)],
)
def test_recomputation_has_its_gradient_too(recompute):
    x, y = series(3, 9)
    moved = []
    for method in (None, recompute):
        model = model_of(bk.layers.LSTM)
        trainer = bk.TruncatedBPTT(model, 6, recompute=method, shards=1)
        trainer.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=False)
        trainer.train_on_batch(x, y)
        moved.append([v.numpy() for v in weights_of_state(model)])
    np.testing.assert_allclose(*moved, atol=1e-6)
    assert np.abs(
        np.subtract(moved[1], weights_of_state(model_of(bk.layers.LSTM)))
    ).max()


def test_rows_that_continue_have_no_gradient_for_it():
    x, y = series(3, 4)
    model = model_of(bk.layers.GRU)
    trainer = bk.TruncatedBPTT(model, 4, shards=1)
    trainer.compile(keras.optimizers.SGD(1.0), "mse", jit_compile=False)
    trainer.train_on_batch({"inputs": x, "reset": np.full(3, True)}, y)
    before = weights_of_state(model)[0].numpy()
    trainer.train_on_batch({"inputs": x, "reset": np.full(3, False)}, y)
    np.testing.assert_array_equal(weights_of_state(model)[0], before)


@pytest.mark.parametrize("layer", LAYERS)
def test_it_is_off_by_default_and_saved_when_on(layer, tmp_path):
    plain = layer(4)
    plain.build((None, None, 3))
    assert not plain.learn_initial_state
    assert "learn_initial_state" not in plain.get_config()
    model = model_of(layer)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    x, _ = series(2, 5)
    np.testing.assert_allclose(loaded(x), model(x), atol=1e-6)
    assert len(loaded.layers[0].weights) > len(plain.weights)
    assert bk.PureStep(loaded).learns_initial_state


def test_most_models_learn_no_initial_state():
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.LSTM(4)])
    assert not bk.PureStep(model).learns_initial_state


@pytest.mark.parametrize("layer", [bk.layers.ZoneoutLSTM, bk.layers.WeightDropLSTM])
def test_layers_that_cannot_learn_it_say_so(layer):
    with pytest.raises(ValueError, match="learn_initial_state=True"):
        layer(4, learn_initial_state=True)
