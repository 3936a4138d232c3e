"""Time mixing that cannot be carried is found by running the model."""

import time

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.state import check_by_running
from tests import test_state
from tests.state.layers import CausalConvolution
from tests.state.models import MODELS, STEPS, floats, gru, ids, lstm, smaller
from tests.test_state import sequential

ops = keras.ops


def specs_of(inputs):
    return tf.nest.map_structure(
        lambda x: tf.TensorSpec((None, *x.shape[1:]), x.dtype), inputs
    )


def check(model, inputs=None):
    inputs = floats(STEPS, 3) if inputs is None else inputs
    return check_by_running(bk.PureStep(model), specs_of(inputs))


@pytest.mark.parametrize("name", smaller(MODELS))
def test_models_of_every_shape_pass(name):
    assert check(*MODELS[name]()) is None


@pytest.mark.parametrize("name", test_state.MODELS)
def test_recurrent_models_pass(name):
    model = test_state.MODELS[name]()
    assert check(model, test_state.data_for(model)) is None


@pytest.mark.parametrize("policy", ["mixed_bfloat16", "mixed_float16", "float64"])
def test_other_precisions_pass(policy):
    keras.config.set_dtype_policy(policy)
    assert check(sequential(lstm(8), keras.layers.LayerNormalization(), gru(8))) is None


def between(layer):
    """A recurrent model with a layer in its middle."""
    return sequential(lstm(name="before"), layer, gru(name="behind"))


def function(body, **options):
    return keras.layers.Lambda(body, name="culprit", **options)


class Pooling(keras.layers.Layer):
    def call(self, inputs):
        return inputs - ops.max(inputs, axis=1, keepdims=True)


class Norm(keras.layers.Layer):
    """Owns the layer that is to blame."""

    def __init__(self):
        super().__init__()
        self.inner = function(lambda x: x - ops.mean(x, 1, keepdims=True))

    def call(self, inputs):
        return self.inner(inputs)


class Beside(keras.layers.GRU):
    def call(self, sequences, initial_state=None, mask=None, training=False):
        mean = ops.mean(sequences, 1, keepdims=True)
        return super().call(sequences - mean, initial_state, mask, training)


class Forgetful(CausalConvolution):
    def call_with_state(self, inputs, state, **options):
        outputs, new = super().call_with_state(inputs, state, **options)
        return outputs, tf.nest.map_structure(tf.zeros_like, new)


MIXING = {
    "mean": lambda: function(lambda x: x - ops.mean(x, axis=1, keepdims=True)),
    "sum so far": lambda: function(lambda x: ops.cumsum(x, axis=1)),
    "flip": lambda: function(lambda x: x[:, ::-1]),
    "shift": lambda: function(lambda x: ops.roll(x, 1, axis=1)),
    "difference": lambda: function(
        lambda x: x - ops.pad(x, [[0, 0], [1, 0], [0, 0]])[:, :-1]
    ),
    "position in the window": lambda: function(
        lambda x: x + ops.cast(ops.arange(ops.shape(x)[1]), x.dtype)[None, :, None]
    ),
    "softmax": lambda: keras.layers.Softmax(axis=1, name="culprit"),
    "own pooling": lambda: Pooling(name="culprit"),
    "shorter": lambda: function(lambda x: x[:, 1:]),
    "normalisation": lambda: keras.layers.UnitNormalization(axis=1, name="culprit"),
    "deep inside": Norm,
    "a state that forgets": lambda: Forgetful(3, 3, name="culprit"),
    "beside its state": lambda: Beside(3, return_sequences=True, name="culprit"),
}


@pytest.mark.parametrize("case", MIXING)
def test_a_layer_that_mixes_timesteps_is_refused_by_name(case):
    with pytest.raises(ValueError, match="Layer 'culprit' .* cannot be cut in time"):
        check(between(MIXING[case]()))


def test_mixing_that_only_the_last_timestep_shows_is_found():
    model = sequential(MIXING["mean"](), keras.layers.GRU(2), keras.layers.Dense(1))
    with pytest.raises(ValueError, match="Layer 'culprit'"):
        check(model)


class Mixing(keras.Model):
    def __init__(self, **options):
        super().__init__(**options)
        self.first, self.second = gru(), gru()

    def call(self, inputs):
        hidden = self.first(inputs)
        return self.second(hidden - ops.mean(hidden, axis=1, keepdims=True))


def test_mixing_in_the_models_own_call_names_the_model():
    model = Mixing(name="mixer")
    model(floats(STEPS, 3))
    with pytest.raises(ValueError, match="The `call` of model 'mixer' .Mixing."):
        check(model)


def test_of_nested_models_the_inner_one_is_named():
    outer = keras.Sequential([keras.Input((None, 3)), gru(), Mixing(name="inner")])
    with pytest.raises(ValueError, match="The `call` of model 'inner'"):
        check(outer)


def test_an_operation_between_the_layers_of_a_functional_model_is_named():
    x = keras.Input((None, 3))
    hidden = gru()(x)
    model = keras.Model(x, gru()(hidden - ops.mean(hidden, axis=1, keepdims=True)))
    with pytest.raises(ValueError, match="Operation 'mean.*' .Mean. of model"):
        check(model)


def test_ids_stay_inside_every_table():
    seen = []

    class Noting(keras.layers.Embedding):
        def call(self, inputs):
            seen.append(np.asarray(inputs))
            return super().call(inputs)

    a, b = keras.Input((None,)), keras.Input((None,), dtype="int32")
    tables = Noting(5, 2)(a), Noting(3, 2)(b)
    model = keras.Model([a, b], gru()(keras.layers.Add()(tables)))
    seen.clear()
    assert check(model, [ids().astype("float32"), ids()]) is None
    assert all(values.min() >= 0 and values.max() < 3 for values in seen)
    assert any(values.max() > 0 for values in seen)


def test_nothing_in_the_model_changes():
    layers = [
        keras.layers.BatchNormalization(),
        gru(dropout=0.5),
        keras.layers.Dropout(0.5),
        keras.layers.ActivityRegularization(0.1),
    ]
    model = sequential(*layers)
    model(floats(STEPS, 3), training=True)
    before = [v.numpy() for v in model.variables]
    seeds = [layer.seed_generator.state.numpy() for layer in model.layers[2:3]]
    assert check(model) is None
    for old, variable in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(old, variable.numpy())
    np.testing.assert_array_equal(seeds[0], model.layers[2].seed_generator.state)
    assert not any("call" in layer.__dict__ for layer in model._flatten_layers())


class Drawing(keras.layers.Layer):
    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(0)

    def call(self, inputs):
        noise = keras.random.normal(ops.shape(inputs), seed=self.seed_generator)
        return inputs + noise


def test_a_model_that_draws_outside_of_training_cannot_be_checked():
    assert "draws random numbers" in check(between(Drawing()))
    # Keras' cells move their seed outside of training, too, and draw nothing.
    mean = MIXING["mean"]()
    with pytest.raises(ValueError, match="'culprit'"):
        check(sequential(gru(dropout=0.5), mean))


def test_a_model_that_does_not_run_on_made_up_data_cannot_be_checked():
    class Strict(keras.layers.Layer):
        def call(self, inputs):
            if not isinstance(inputs, keras.KerasTensor) and inputs.shape[1] == 4:
                raise RuntimeError("no piece of this length")
            return inputs

    assert "no piece of this length" in check(between(Strict()))
    words = sequential(gru())
    reason = check_by_running(bk.PureStep(words), tf.TensorSpec((None, 5), tf.string))
    assert "dtype string" in reason


def test_it_works_while_a_graph_is_traced():
    step = bk.PureStep(between(MIXING["mean"]()))

    @tf.function(autograph=False)
    def traced():
        check_by_running(step, tf.TensorSpec((None, STEPS, 3)))

    with pytest.raises(ValueError, match="'culprit'"):
        traced()


def test_it_costs_less_than_half_a_second():
    model = sequential(lstm(32), lstm(32), keras.layers.Dense(5))
    step, spec = bk.PureStep(model), tf.TensorSpec((None, STEPS, 3))
    start = time.perf_counter()
    check_by_running(step, spec)
    assert time.perf_counter() - start < 2  # other work on the machine slows it
