"""Each private feature of Keras that the package relies on still exists."""

import json
import runpy

import keras
import numpy as np
import pytest
import tensorflow as tf

from bptt_keras import keras_internals as internals
from bptt_keras.tensorflow_internals import function_being_traced


def nested_model():
    """`(model, layers)`: a recurrent layer and an inner model with one layer."""
    cell = keras.layers.LSTMCell(2)
    recurrent = keras.layers.RNN(cell, return_sequences=True)
    dense = keras.layers.Dense(1)
    inner = keras.Sequential([keras.Input((None, 2)), dense])
    model = keras.Sequential([keras.Input((None, 3)), recurrent, inner])
    return model, [recurrent, cell, inner, dense]


# --- Layers and variables ---------------------------------------------------------


def test_all_layers_are_found_within_models_and_cells():
    model, layers = nested_model()
    found = internals.all_layers(model)
    missing = [x.name for x in [model, *layers] if all(x is not y for y in found)]
    assert not missing, "Keras no longer lists all layers in `_flatten_layers`"


def test_inner_layers_leave_out_the_layer_itself():
    model, layers = nested_model()
    recurrent, cell, *_ = layers
    assert internals.inner_layers(recurrent) == [cell], (
        "Keras' `_flatten_layers(include_self=False)` no longer lists a layer's inner "
        "layers without the layer"
    )


def test_the_state_of_a_seed_is_known_by_its_path():
    model = keras.Sequential(
        [
            keras.Input((3,)),
            keras.layers.Dense(2),
            keras.layers.BatchNormalization(),
            keras.layers.Dropout(0.5),
            keras.layers.GaussianNoise(0.5),
        ]
    )
    seeds = [v for v in model.variables if internals.is_seed(v)]
    states = [layer.seed_generator.state for layer in model.layers[2:]]
    assert [id(v) for v in seeds] == [id(v) for v in states], (
        "Keras no longer names the state of a SeedGenerator 'seed_generator_state'"
    )


def test_a_layer_says_whether_its_call_takes_training():
    class Plain(keras.layers.Layer):
        def call(self, inputs):
            return inputs

    class Trained(keras.layers.Layer):
        def call(self, inputs, training=False):
            return inputs

    told = [internals.takes_training(x) for x in (Plain(), Trained(), object())]
    assert told == [False, True, False], (
        "Keras no longer says in `_call_has_training_arg` whether `call` takes it"
    )


def test_a_functional_model_gives_the_structure_of_its_inputs():
    declared = {"a": keras.Input((2,), name="a"), "b": keras.Input((3,), name="b")}
    outputs = keras.layers.Concatenate()(list(declared.values()))
    structure = internals.declared_inputs(keras.Model(declared, outputs))
    assert isinstance(structure, dict) and set(structure) == {"a", "b"}, (
        "Keras no longer keeps a Functional model's inputs in `_inputs_struct`"
    )
    assert internals.declared_inputs(keras.layers.Dense(1)) is None


def test_the_loss_of_an_activity_regularizer_is_divided_by_rows_as_told():
    layer = keras.layers.Identity(activity_regularizer=tf.reduce_sum)
    layer(np.ones((4, 1), "float32"))
    expected = 1 if internals.divides_activity_losses_by_rows() else 4
    assert [float(loss) for loss in layer.losses] == [expected], (
        "Keras divides the losses of activity regularizers by something else"
    )


# --- Methods that are hidden for a while -------------------------------------------


def hidden(owner, name, value):
    return internals.hiding(owner, name, value)


def test_a_layer_runs_the_call_that_hides_its_own():
    layer = keras.layers.Dense(3)
    x = np.ones((1, 2), "float32")
    own = layer(x)
    with hidden(layer, "call", lambda inputs: inputs * 2):
        with hidden(layer, "call", lambda inputs: inputs * 3):
            inner = layer(x)
        outer = layer(x)
    assert np.array_equal(inner, x * 3) and np.array_equal(outer, x * 2), (
        "Keras no longer runs a `call` from the layer's instance dictionary"
    )
    assert "call" not in vars(layer)
    np.testing.assert_array_equal(layer(x), own)


def test_nothing_stays_hidden_after_an_error():
    layer = keras.layers.Dense(3)
    with pytest.raises(ZeroDivisionError), hidden(layer, "call", None):
        raise ZeroDivisionError
    assert "call" not in vars(layer)


def test_a_hidden_method_may_hold_a_layer_without_tracking_it():
    layer, other = keras.layers.Dense(3), keras.layers.Dense(4)
    with hidden(layer, "helper", other):
        assert internals.all_layers(layer) == [layer], (
            "Keras now tracks what is put into a layer's instance dictionary"
        )


def test_a_layer_adds_losses_by_the_method_that_hides_its_own():
    layer = keras.layers.Dense(1, activity_regularizer="l2")
    x, told = np.ones((1, 2), "float32"), []
    layer(x)
    with hidden(layer, "add_loss", told.append):
        layer.add_loss(1.0)
    assert told == [1.0], "Keras' layers no longer let `add_loss` be hidden"
    with hidden(layer, "activity_regularizer", lambda outputs: 7.0 + 0 * outputs[0, 0]):
        layer(x)
    assert 7.0 in [float(loss) for loss in layer.losses], (
        "Keras no longer reads `activity_regularizer` from the layer when it is called"
    )


def test_a_recurrent_layer_runs_the_inner_loop_that_hides_its_own():
    layer, ran = keras.layers.RNN(keras.layers.SimpleRNNCell(2)), []
    x = np.ones((1, 4, 3), "float32")
    layer(x)
    original = layer.inner_loop

    def loop(*args, **kwargs):
        ran.append(True)
        return original(*args, **kwargs)

    with hidden(layer, "inner_loop", loop):
        layer(x)
    assert ran, "Keras' RNN no longer runs its loop over time as `self.inner_loop`"


def test_a_variable_is_assigned_by_the_method_that_hides_its_own():
    layer, told = keras.layers.BatchNormalization(), []
    x = np.ones((2, 3), "float32")
    layer(x)
    with hidden(layer.moving_mean, "assign", told.append):
        layer(x, training=True)
    assert told, "Keras no longer changes moving averages by their `assign`"


# --- Masks ------------------------------------------------------------------------


def test_keras_attaches_masks_to_tensors():
    ids = np.array([[1, 2, 0]])
    outputs = keras.layers.Embedding(3, 2, mask_zero=True)(ids)
    mask = internals.mask_of(outputs)
    assert mask is not None and np.array_equal(mask, ids != 0), (
        "Keras no longer attaches masks to tensors as `_keras_mask`"
    )
    assert internals.mask_of(tf.ones(())) is None


def test_an_attached_mask_is_found_by_a_layer():
    found = []

    class Asks(keras.layers.Layer):
        supports_masking = True

        def call(self, inputs, mask=None):
            found.append(mask)
            return inputs

    tensor, mask = tf.ones((1, 2, 3)), tf.constant([[True, False]])
    internals.attach_mask(tensor, mask)
    Asks()(tensor)
    assert found[-1] is mask, "Keras' layers no longer find a mask in `_keras_mask`"


def test_an_attached_mask_is_found_by_a_loss():
    y = tf.constant([[0.0], [0.0]])
    outputs = tf.constant([[1.0], [3.0]])
    internals.attach_mask(outputs, tf.constant([True, False]))
    loss = keras.losses.MeanSquaredError()(y, outputs)
    # Keras 3.12 divides by the number of rows plus an epsilon.
    assert float(loss) == pytest.approx(1.0), (
        "Keras' losses no longer find a mask in `_keras_mask`"
    )


# --- Optimizers -------------------------------------------------------------------


def moved(optimizer, factor):
    """What an update with the gradient 1 subtracts, the rate times a factor."""
    weight = keras.Variable(0.0)
    optimizer.build([weight])
    with internals.learning_rate_times(optimizer, tf.constant(factor)):
        optimizer.apply([tf.constant(1.0)], [weight])
    return -float(weight)


GONE = "Keras' optimizers no longer read their rate by `_get_current_learning_rate`"


def test_an_update_sees_the_learning_rate_times_a_factor():
    optimizer = keras.optimizers.SGD(0.5)
    assert moved(optimizer, 0.5) == 0.25, GONE
    assert float(optimizer.learning_rate) == 0.5
    assert "_get_current_learning_rate" not in vars(optimizer)


def test_an_update_sees_a_schedule_times_a_factor():
    schedule = keras.optimizers.schedules.ExponentialDecay(0.5, 1, 0.1)
    assert moved(keras.optimizers.SGD(schedule), 0.5) == 0.25, GONE


def test_adaptive_optimizers_see_the_factor_too():
    plain = moved(keras.optimizers.Adam(0.5), 1.0)
    assert moved(keras.optimizers.Adam(0.5), 0.5) == pytest.approx(plain / 2), GONE


def test_weight_decay_sees_the_factor_too():
    def decayed(factor):
        optimizer = keras.optimizers.AdamW(0.5, weight_decay=0.1)
        weight = keras.Variable(1.0)
        optimizer.build([weight])
        with internals.learning_rate_times(optimizer, tf.constant(factor)):
            optimizer.apply([tf.constant(0.0)], [weight])
        return 1 - float(weight)

    assert decayed(0.5) == pytest.approx(decayed(1.0) / 2, rel=1e-3), GONE


def test_an_optimizer_clips_by_the_norm_of_a_function():
    optimizer = keras.optimizers.SGD(1.0, global_clipnorm=2.0)
    weights = [keras.Variable(0.0), keras.Variable(0.0)]
    optimizer.build(weights)
    with internals.clipping_by(optimizer, lambda gradients: tf.constant(8.0)):
        optimizer.apply([tf.constant(4.0), None], weights)
    gone = "Keras' optimizers no longer clip by `_clip_gradients`"
    assert [float(w) for w in weights] == [-1.0, 0.0], gone
    assert "_clip_gradients" not in vars(optimizer)


@pytest.mark.parametrize("argument", ["clipnorm", "clipvalue"])
def test_other_clipping_of_an_optimizer_stays_as_it_is(argument):
    optimizer = keras.optimizers.SGD(1.0, **{argument: 2.0})
    weight = keras.Variable(0.0)
    optimizer.build([weight])
    with internals.clipping_by(optimizer, lambda gradients: tf.constant(8.0)):
        optimizer.apply([tf.constant(4.0)], [weight])
    assert float(weight) == -2.0


def test_a_schedule_is_distinguished_from_a_rate():
    schedule = keras.optimizers.schedules.CosineDecay(0.5, 10)
    found = internals.schedule_of(keras.optimizers.SGD(schedule))
    assert found is schedule, "Keras no longer keeps a schedule in `_learning_rate`"
    assert internals.schedule_of(keras.optimizers.SGD(0.5)) is None


def test_an_optimizer_knows_its_variables():
    optimizer, weights = keras.optimizers.SGD(), [keras.Variable(0.0)]
    optimizer.build(weights)
    assert [id(v) for v in internals.trained_by(optimizer)] == [id(weights[0])], (
        "Keras no longer keeps an optimizer's variables in `_trainable_variables`"
    )


# --- What a model was compiled with ------------------------------------------------


def two_outputs():
    """A compiled model with the outputs `a` and `b`, its targets and its outputs."""
    inputs = keras.Input((2,))
    outputs = {name: keras.layers.Dense(1, name=name)(inputs) for name in "ab"}
    model = keras.Model(inputs, outputs)
    model.compile(
        "sgd",
        loss={"a": "mse", "b": "mae"},
        loss_weights={"a": 2.0, "b": 3.0},
        metrics={"a": ["mae"]},
        weighted_metrics={"b": ["mse"]},
    )
    return model, {name: tf.ones((4, 1)) for name in "ab"}


def test_the_losses_of_a_compiled_model_are_found():
    model, values = two_outputs()
    compiled = internals.compiled_loss(model)
    assert compiled is not None, "Keras no longer keeps its losses in `_compile_loss`"
    compiled.build(values, values)
    found = {
        path[-1]: (float(loss(np.zeros((1, 1)), np.full((1, 1), 3.0))), factor, name)
        for path, loss, factor, name in internals.flat_losses(compiled)
    }
    assert found == {
        "a": (9.0, 2.0, "a"),
        "b": (3.0, 3.0, "b"),
    }, "Keras' `_flat_losses` no longer has (path, loss, weight, name) of each loss"
    assert internals.compiled_loss(keras.Sequential()) is None


def test_the_loss_is_available_as_given():
    model, _ = two_outputs()
    assert internals.given_loss(model) == {"a": "mse", "b": "mae"}, (
        "Keras no longer keeps the `loss` that was given in `CompileLoss._user_loss`"
    )
    assert internals.given_loss(keras.Sequential()) is None


def test_the_metrics_of_a_compiled_model_are_found():
    model, values = two_outputs()
    compiled = internals.compiled_metrics(model)
    assert compiled is not None, "Keras no longer keeps them in `_compile_metrics`"
    compiled.build(values, values)
    names = internals.names_of_outputs(compiled)
    assert sorted(names) == ["a", "b"], (
        "Keras' `CompileMetrics` has no more names in `_resolved_output_names`"
    )
    found = [
        {
            name: [type(metric).__name__ for metric in of_output.metrics]
            for name, of_output in zip(names, group, strict=True)
            if of_output
        }
        for group in internals.metrics_by_output(compiled)
    ]
    assert found == [{"a": ["MeanAbsoluteError"]}, {"b": ["MeanSquaredError"]}], (
        "Keras' `CompileMetrics` no longer has a list an output in `_flat_metrics` and "
        "`_flat_weighted_metrics`"
    )
    assert internals.compiled_metrics(keras.Sequential()) is None


def test_the_metrics_are_available_as_given():
    model, _ = two_outputs()
    assert internals.given_metrics(model) == ["mae", "mse"], (
        "Keras' `CompileMetrics` no longer keeps `_user_metrics` and "
        "`_user_weighted_metrics`"
    )
    assert internals.given_metrics(keras.Sequential()) == []
    names = [metric.name for metric in model.metrics]
    assert internals.COMPILED_METRICS in names, (
        "Keras no longer calls the metrics of `compile` 'compile_metrics'"
    )


def test_a_compiled_model_reports_its_loss_by_a_metric():
    model, _ = two_outputs()
    tracker = internals.loss_tracker(model)
    assert any(metric is tracker for metric in model.metrics) and (
        tracker.name == "loss"
    ), "Keras no longer reports the loss by `_loss_tracker`"


def test_the_arguments_of_compile_are_available_as_given():
    def own(y, outputs):
        return keras.ops.mean(outputs, -1)

    model = keras.Sequential([keras.layers.Dense(1)])
    model.compile("sgd", own, metrics=["mae"], steps_per_execution=3)
    found = internals.compile_arguments(model)
    assert (found["loss"], found["steps_per_execution"]) == (own, 3), (
        "Keras no longer keeps the arguments of `compile` in `_compile_config`"
    )


# --- Training loops ----------------------------------------------------------------


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.quick(2)
def test_functions_that_run_a_model_are_known_by_name(jit_compile, steps):
    told = []

    class Told(keras.layers.Layer):
        def call(self, inputs):
            told.append(function_being_traced()[0])
            return 2 * inputs

    model = keras.Sequential([keras.Input((3,)), Told(), keras.layers.Dense(1)])
    options = {"jit_compile": jit_compile, "steps_per_execution": steps}
    model.compile("sgd", "mse", **options)
    x, y = np.ones((4, 3)), np.ones((4, 1))
    del told[:]
    model.fit(x, y, batch_size=2, verbose=0)
    model.evaluate(x, y, batch_size=2, verbose=0)
    model.predict(x, batch_size=2, verbose=0)
    assert told and set(told) <= set(internals.RUNNING_FUNCTIONS), (
        "Keras has renamed the functions with which `fit`, `evaluate` or `predict` run "
        "a model: RUNNING_FUNCTIONS"
    )


def test_fit_says_when_it_validates():
    told = []

    class Model(keras.Sequential):
        def evaluate(self, *args, **kwargs):
            told.append(internals.is_validation(kwargs))
            return super().evaluate(*args, **kwargs)

    model = Model([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse", run_eagerly=True)
    x = np.ones((1, 1), "float32")
    model.fit(x, x, validation_data=(x, x), verbose=0)
    model.evaluate(x, x, verbose=0)
    assert told == [True, False], (
        "Keras' `fit` no longer passes `_use_cached_eval_dataset` when it validates"
    )


def test_a_callback_continues_where_another_one_stopped():
    def told(epoch, loss):
        callback.on_epoch_end(epoch, {"val_loss": loss})

    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    callback = keras.callbacks.EarlyStopping(patience=2, min_delta=0.25)
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, loss in enumerate((1.0, 0.9)):
        told(epoch, loss)
    state = json.loads(json.dumps(internals.callback_state(callback)))
    callback = keras.callbacks.EarlyStopping(patience=2, min_delta=0.25)
    callback.set_model(model)
    callback.on_train_begin()
    internals.restore_callback(callback, state)
    assert (callback.best, callback.wait) == (1.0, 1), (
        "Keras' callbacks no longer keep what they have noticed in plain attributes"
    )
    told(2, 0.8)
    assert model.stop_training, "Keras' `EarlyStopping` cannot be restored any more"


def test_a_scope_is_notified_of_assignments():
    told = []

    class Scope(keras.StatelessScope):
        def add_update(self, update):
            told.append(update)

    variable = keras.Variable(1.0)
    with Scope([(variable, tf.constant(2.0))]):
        assert float(variable.value) == 2.0, (
            "Keras' `StatelessScope` no longer gives variables their values"
        )
        variable.assign(3.0)
    ((changed, value),) = told
    assert changed is variable and float(value) == 3.0 and float(variable) == 1.0, (
        "Keras no longer calls `StatelessScope.add_update` on `variable.assign`"
    )


# --- Texts -------------------------------------------------------------------------


def test_the_most_informative_line_of_an_error_is_not_keras_own():
    class Fails(keras.layers.Layer):
        def call(self, inputs):
            raise ValueError("no such thing\nand more of it")

    with pytest.raises(ValueError) as raised:
        Fails()(np.ones((1, 1), "float32"))
    assert internals.in_one_line(raised.value) == "no such thing", (
        "Keras words the errors of layers in another way than "
        "'Exception encountered when calling ...' before their own text"
    )


def test_an_error_without_a_message_is_named():
    assert internals.in_one_line(ZeroDivisionError()) == "ZeroDivisionError"


def test_the_generator_of_seeds_is_made_when_it_is_needed():
    keras.backend.clear_session()
    assert internals.global_seeds() is None, "Keras no longer forgets its seeds"
    made = internals.make_global_seeds()
    before = np.array(made.state)
    keras.random.normal((1,))
    assert internals.global_seeds() is made, (
        "Keras keeps its global seeds under another name"
    )
    assert (np.array(made.state) != before).any(), "Keras draws seeds elsewhere"


def test_the_oldest_keras_has_all_that_is_imported(monkeypatch):
    # Keras 3.12 has no such constant.
    module = "keras.src.random.seed_generator"
    monkeypatch.delattr(f"{module}.GLOBAL_SEED_GENERATOR", raising=False)
    assert "global_seeds" in runpy.run_path(internals.__file__)
