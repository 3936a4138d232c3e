"""`ClippedOptimizer` in place of any Keras optimizer."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras import clipping
from bptt_keras.training.clipping import ClippedOptimizer


def dense(optimizer, **options):
    model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
    model.compile(optimizer, loss="mse", **options)
    return model


def data(rows=32):
    rng = np.random.default_rng(0)
    x = rng.normal(size=(rows, 3)).astype("float32")
    return x, (x[:, :2] * 5).astype("float32")


@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.parametrize(
    ("own", "rule"),
    [
        ({"global_clipnorm": 0.5}, clipping.GlobalNorm(0.5)),
        ({"clipnorm": 0.5}, clipping.VariableNorm(0.5)),
        ({"clipvalue": 0.1}, clipping.Value(0.1)),
    ],
)
@pytest.mark.quick(1)
def test_a_keras_model_is_trained_as_by_keras_own_clipping(own, rule, jit_compile):
    x, y = data()
    weights = []
    for optimizer in (
        keras.optimizers.Adam(0.1, **own),
        ClippedOptimizer(keras.optimizers.Adam(0.1), rule),
    ):
        keras.utils.set_random_seed(2)
        model = dense(optimizer, jit_compile=jit_compile)
        model.fit(x, y, batch_size=8, epochs=3, shuffle=False, verbose=0)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_rules_are_applied_in_their_order():
    optimizer = ClippedOptimizer(
        keras.optimizers.SGD(1.0), [clipping.Value(1.0), clipping.GlobalNorm(1.0)]
    )
    variable = keras.Variable([0.0, 0.0])
    optimizer.apply([tf.constant([3.0, 0.5])], [variable])
    length = np.hypot(1.0, 0.5)
    np.testing.assert_allclose(variable, [-1 / length, -0.5 / length], rtol=1e-6)
    np.testing.assert_allclose(optimizer.norm, np.hypot(3, 0.5), rtol=1e-6)
    np.testing.assert_allclose(optimizer.clipped_norm, 1.0, rtol=1e-6)


def test_counters_record_what_clipping_did():
    inner = keras.optimizers.SGD(1.0, clipnorm=2.0)
    optimizer = ClippedOptimizer(inner, clipping.GlobalNorm(3.0))
    variable = keras.Variable([0.0])
    # Left alone, shortened by the inner optimizer alone, by both, not finite.
    for gradient in (1.0, 2.5, 9.0, np.inf):
        optimizer.apply([tf.constant([gradient])], [variable])
    assert int(optimizer.updates) == 3
    assert int(optimizer.clipped_updates) == 2
    assert int(optimizer.skipped) == int(optimizer.skipped_in_a_row) == 1
    assert (float(optimizer.norm), float(optimizer.clipped_norm)) == (9.0, 2.0)
    assert float(variable[0]) == -5.0


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("jit_compile", [True, False])
@pytest.mark.quick(2)
def test_an_update_that_is_not_finite_changes_nothing(bad, jit_compile):
    rules = [clipping.AutoClip(), clipping.ZClip()]
    optimizer = ClippedOptimizer(keras.optimizers.Adam(0.1), rules)
    model = dense(optimizer, jit_compile=jit_compile)
    x, y = data(8)
    model.train_on_batch(x, y)

    def everything():
        kept = [v for v in optimizer.variables if "skipped" not in v.name]
        return [np.asarray(v) for v in [*model.variables, *kept]]

    before = everything()
    y[3, 1] = bad
    model.train_on_batch(x, y)
    for a, b in zip(before, everything(), strict=True):
        np.testing.assert_array_equal(a, b)
    assert int(optimizer.skipped) == 1 and int(optimizer.iterations) == 1


def test_without_skipping_the_gradient_is_applied_as_it_is():
    optimizer = ClippedOptimizer(keras.optimizers.SGD(1.0), skip_nonfinite=False)
    variable = keras.Variable([0.0])
    optimizer.apply([tf.constant([np.nan])], [variable])
    assert np.isnan(variable.numpy()).all()
    assert optimizer.stop_after is None


def test_fit_ends_after_a_number_of_skipped_updates_in_a_row():
    x, y = data(64)
    y[8:] = np.nan
    optimizer = ClippedOptimizer(keras.optimizers.SGD(0.01), stop_after=3)
    model = dense(optimizer)
    with pytest.warns(UserWarning, match="the last 3 updates were left out"):
        model.fit(
            x,
            y,
            batch_size=8,
            epochs=5,
            shuffle=False,
            verbose=0,
            callbacks=[bk.callbacks.StopOnSkipped()],
        )
    assert int(optimizer.skipped) == 3
    assert np.isfinite(model.get_weights()[0]).all()


def test_a_finite_update_restarts_the_count():
    optimizer = ClippedOptimizer(keras.optimizers.SGD(1.0))
    variable = keras.Variable([0.0])
    for gradient in (np.nan, np.nan, 1.0, np.nan):
        optimizer.apply([tf.constant([gradient])], [variable])
    assert int(optimizer.skipped_in_a_row) == 1 and int(optimizer.skipped) == 3


@pytest.mark.parametrize(
    "optimizer",
    [
        "sgd",
        ClippedOptimizer(keras.optimizers.SGD(), stop_after=None),
        ClippedOptimizer(keras.optimizers.SGD(), skip_nonfinite=False),
    ],
)
def test_the_callback_refuses_an_optimizer_that_never_stops(optimizer):
    x, y = data(8)
    with pytest.raises(ValueError, match="needs a model that was compiled with"):
        dense(optimizer).fit(x, y, verbose=0, callbacks=[bk.callbacks.StopOnSkipped()])


def test_the_learning_rate_is_that_of_the_inner_optimizer():
    schedule = keras.callbacks.LearningRateScheduler(lambda epoch: 0.5 / (1 + epoch))
    model = dense(ClippedOptimizer(keras.optimizers.SGD(0.1)))
    history = model.fit(*data(), epochs=2, verbose=0, callbacks=[schedule])
    assert history.history["learning_rate"] == [0.5, 0.25]
    assert float(model.optimizer.inner_optimizer.learning_rate) == 0.25


def test_averaged_weights_of_the_inner_optimizer_are_used_at_the_end():
    x, y = data()
    weights = []
    for wrap in (lambda o: o, ClippedOptimizer):
        keras.utils.set_random_seed(0)
        model = dense(wrap(keras.optimizers.SGD(0.1, use_ema=True)))
        model.fit(x, y, shuffle=False, verbose=0, epochs=3)
        weights.append(model.get_weights())
    for a, b in zip(*weights, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)


def test_gradients_of_embeddings_count_repeated_ids_together():
    optimizer = ClippedOptimizer(keras.optimizers.SGD(1.0), clipping.GlobalNorm(1.0))
    table = keras.Variable(np.zeros((3, 1)), dtype="float32")
    repeated = tf.IndexedSlices(
        tf.constant([[3.0], [3.0]]), tf.constant([1, 1]), [3, 1]
    )
    optimizer.apply([repeated], [table])
    assert float(optimizer.norm) == 6.0
    np.testing.assert_allclose(table, [[0], [-1], [0]], rtol=1e-6)


def test_variables_without_a_gradient_do_not_change():
    optimizer = ClippedOptimizer(keras.optimizers.SGD(1.0), clipping.GlobalNorm(1.0))
    a, b = keras.Variable([0.0]), keras.Variable([0.0])
    optimizer.apply([None, tf.constant([4.0])], [a, b])
    assert (float(a[0]), float(b[0])) == (0.0, -1.0)


def test_half_precision_puts_the_loss_scale_outside():
    keras.config.set_dtype_policy("mixed_float16")
    model = dense(ClippedOptimizer(keras.optimizers.SGD(0.01), clipping.Value(0.5)))
    assert isinstance(model.optimizer, keras.optimizers.LossScaleOptimizer)
    x, y = data(8)
    steps = []
    # The first ones overflow, until the scale has come down.
    for _ in range(20):
        before = model.get_weights()
        model.train_on_batch(x, y)
        pairs = zip(before, model.get_weights(), strict=True)
        steps.append(max(np.abs(a - b).max() for a, b in pairs))
    # The rate times a gradient of 0.5 at most.
    assert 0.004 < max(steps) <= 0.00501


def test_the_configuration_makes_an_equal_optimizer():
    optimizer = ClippedOptimizer(
        keras.optimizers.AdamW(0.1, weight_decay=0.2),
        [clipping.AGC(0.02, exclude=("bias",)), clipping.AutoClip(30)],
        stop_after=4,
        name="mine",
    )
    again = ClippedOptimizer.from_config(optimizer.get_config())
    assert again.get_config() == optimizer.get_config()
    assert repr(again.clipping) == repr(optimizer.clipping)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: ClippedOptimizer("adam"), TypeError, "a Keras optimizer.*'adam'"),
        (
            lambda: ClippedOptimizer(ClippedOptimizer(keras.optimizers.SGD())),
            ValueError,
            "clips by rules already",
        ),
        (
            lambda: ClippedOptimizer(
                keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD())
            ),
            ValueError,
            "loss scale outside",
        ),
        (
            lambda: ClippedOptimizer(keras.optimizers.SGD(loss_scale_factor=2.0)),
            ValueError,
            "loss scale outside",
        ),
        (
            lambda: ClippedOptimizer(keras.optimizers.SGD(), 1.0),
            TypeError,
            "rule from `bptt_keras.clipping`.*clipping=1.0",
        ),
        (
            lambda: ClippedOptimizer(keras.optimizers.SGD(), [clipping.ZClip()] * 2),
            ValueError,
            "same rule twice",
        ),
        (
            lambda: ClippedOptimizer(keras.optimizers.SGD(), skip_nonfinite=1),
            TypeError,
            "True or False",
        ),
        (
            lambda: ClippedOptimizer(keras.optimizers.SGD(), stop_after=0),
            ValueError,
            "at least 1 updates",
        ),
    ],
)
def test_impossible_arguments_are_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()


def test_gradients_without_variables_are_refused():
    with pytest.raises(ValueError, match="no variables yet"):
        ClippedOptimizer(keras.optimizers.SGD()).apply([tf.ones(1)])


def test_the_summary_of_a_trainer_says_what_bounds_its_gradients():
    model = keras.Sequential([keras.layers.Input((None, 1)), bk.layers.GRU(1)])
    trainer = bk.TruncatedBPTT(model, window=2)
    rules = [clipping.Value(0.5), clipping.GlobalNorm(1.0)]
    trainer.compile(ClippedOptimizer(keras.optimizers.SGD(), rules), loss="mse")
    lines = []
    trainer.summary(print_fn=lambda line, **_: lines.append(line))
    text = "\n".join(lines)
    assert "Value(bound=0.5)" in text and "GlobalNorm(max_norm=1.0)" in text
    assert "updates that are not finite; 10 of them in a row end a fit" in text
