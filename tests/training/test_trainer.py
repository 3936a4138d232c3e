"""The windows of `TruncatedBPTT.fit` against training written out by hand."""

import re

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from tests.training.references import (
    assert_same_weights,
    clone,
    model_of,
    series,
    train_by_hand,
    train_whole,
)

# Both ways through a layer: Keras' loop, and a fused kernel.
LAYERS = [keras.layers.LSTM, bk.layers.LSTM]
SLOW = pytest.mark.slow


def trainer_of(model, window, *, shards=1, **options):
    # One shard: two take twice as long to trace.
    options = {"optimizer": keras.optimizers.SGD(0.1), "loss": "mse"} | options
    trainer = bk.TruncatedBPTT(model, window=window, shards=shards)
    trainer.compile(**{"jit_compile": False} | options)
    return trainer


@pytest.mark.parametrize(
    ("layer", "jit_compile"),
    [
        (keras.layers.LSTM, False),
        (bk.layers.LSTM, True),
        pytest.param(keras.layers.LSTM, True, marks=SLOW),
        pytest.param(bk.layers.LSTM, False, marks=SLOW),
    ],
)
@pytest.mark.quick(1)
def test_windows_equal_one_hand_written_step_each(layer, jit_compile):
    model = model_of(keras.layers.LSTM)
    twin = model_of(layer)
    twin.set_weights(model.get_weights())
    x, y = series(4, 17)
    losses, _ = train_by_hand(model, keras.optimizers.Adam(0.01), x, y, window=5)
    trainer = trainer_of(
        twin, 5, optimizer=keras.optimizers.Adam(0.01), jit_compile=jit_compile
    )
    history = trainer.fit(x, y, batch_size=4, shuffle=False, verbose=0)
    # Adam divides by the root of tiny numbers: rounding is magnified.
    assert_same_weights(model, twin, atol=2e-5)
    expected = np.average(losses, weights=[5, 5, 5, 2])
    np.testing.assert_allclose(history.history["loss"], expected, rtol=1e-5)


def test_a_window_as_long_as_the_sequence_equals_full_backpropagation():
    model = model_of(bk.layers.LSTM)
    twin = clone(model)
    x, y = series(4, 9)
    train_whole(model, x, y)
    for window in (9, 100):
        third = clone(twin)
        trainer_of(third, window).train_on_batch(x, y)
        assert_same_weights(model, third)


@pytest.mark.parametrize(
    ("window", "gradient", "jit_compile"),
    [
        (1, 0.036, True),
        (2, 0.072, False),
        (3, 0.108, True),
        (9, 0.108, False),
        pytest.param(1, 0.036, False, marks=SLOW),
        pytest.param(2, 0.072, True, marks=SLOW),
        pytest.param(3, 0.108, False, marks=SLOW),
        pytest.param(9, 0.108, True, marks=SLOW),
    ],
)
@pytest.mark.quick(1)
def test_the_scalar_oracle_has_its_horizon(window, gradient, jit_compile):
    model = keras.Sequential([keras.Input((None, 1)), keras.layers.RNN(LinearCell())])
    trainer = trainer_of(
        model,
        window,
        optimizer=keras.optimizers.SGD(1.0),
        loss=lambda y_true, y_pred: y_pred[:, 0],
        jit_compile=jit_compile,
    )
    trainer.train_on_batch(np.zeros((1, 3, 1)), np.zeros((1, 1)))
    np.testing.assert_allclose(
        0.2 - model.trainable_variables[0].numpy(), gradient, rtol=1e-5
    )


class LinearCell(keras.layers.Layer):
    """x_t = w x_{t-1}, from x_0 = 0.9 with w = 0.2."""

    state_size = 1

    def build(self, input_shape):
        self.w = self.add_weight(shape=(), initializer=lambda *a, **k: tf.constant(0.2))

    def get_initial_state(self, batch_size=None):
        return [0.9 * tf.ones((batch_size, 1))]

    def call(self, inputs, states):
        new = self.w * states[0]
        return new, [new]


def test_many_to_one_runs_the_steps_before_the_last_window_without_a_tape():
    lstm, dense = keras.layers.LSTM(5), keras.layers.Dense(2)
    model = keras.Sequential([keras.Input((None, 3)), lstm, dense])
    twin = clone(model)
    x, _ = series(3, 17)
    y = np.random.default_rng(1).normal(size=(3, 2)).astype("float32")
    explicit = keras.layers.RNN(lstm.cell, return_state=True)
    _, *state = explicit(x[:, :12])
    with tf.GradientTape() as tape:
        last, *_ = explicit(x[:, 12:], initial_state=state)
        loss = tf.reduce_mean((dense(last) - y) ** 2)
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    keras.optimizers.SGD(0.1).apply(gradients, model.trainable_variables)
    trainer = trainer_of(twin, 5)
    history = trainer.fit(x, y, verbose=0)
    assert_same_weights(model, twin)
    np.testing.assert_allclose(history.history["loss"], float(loss), rtol=1e-5)
    assert int(trainer.optimizer.iterations) == 1
    lines = []
    trainer.summary(print_fn=lambda line, **_: lines.append(line))
    assert "gradients reach the last 5 steps" in "\n".join(lines)


@pytest.mark.slow
def test_many_to_one_trains_the_last_window_of_each_padded_row():
    model = keras.Sequential(
        [
            keras.Input((None, 3)),
            keras.layers.Masking(-1.0),
            bk.layers.LSTM(4, return_sequences=True),
            bk.layers.GRU(5),
            keras.layers.Dense(2),
        ]
    )
    x, _ = series(3, 14)
    y = np.random.default_rng(1).normal(size=(3, 2)).astype("float32")
    lengths = [14, 8, 3]
    changes = np.zeros(len(model.trainable_variables), object)
    for row, length in enumerate(lengths):
        x[row, length:] = -1
        alone = clone(model)
        one = slice(row, row + 1)
        trainer = trainer_of(alone, 4, run_eagerly=True)
        trainer.train_on_batch(x[one, :length], y[one])
        for index, (old, new) in enumerate(
            zip(model.get_weights(), alone.get_weights(), strict=True)
        ):
            changes[index] += (new - old) / 3
    together = clone(model)
    trainer_of(together, 4, shards="auto").train_on_batch(x, y)
    for old, new, change in zip(
        model.get_weights(), together.get_weights(), changes, strict=True
    ):
        np.testing.assert_allclose(new - old, change, atol=1e-6)


@pytest.mark.slow
def test_padding_changes_nothing():
    model = masked_model()
    unpadded = clone(model)
    x, y = series(2, 11)
    padded_x = np.concatenate([x, np.full((2, 9, 3), -1, "float32")], axis=1)
    padded_y = np.concatenate([y, np.full((2, 9, 2), 7, "float32")], axis=1)
    first = trainer_of(model, 4, metrics=["mae"])
    second = trainer_of(unpadded, 4, metrics=["mae"])
    a = first.fit(padded_x, padded_y, verbose=0, shuffle=False).history
    b = second.fit(x, y, verbose=0, shuffle=False).history
    assert_same_weights(model, unpadded)
    for name in ("loss", "mae", "grad_norm"):
        np.testing.assert_allclose(a[name], b[name], rtol=1e-5, err_msg=name)
    np.testing.assert_allclose(
        first.evaluate(padded_x, padded_y, verbose=0),
        second.evaluate(x, y, verbose=0),
        rtol=1e-5,
    )


def masked_model(layer=bk.layers.LSTM):
    return keras.Sequential(
        [
            keras.Input((None, 3)),
            keras.layers.Masking(-1.0),
            layer(5, return_sequences=True),
            layer(4, return_sequences=True),
            keras.layers.Dense(2),
        ]
    )


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.quick(1)
def test_a_padded_batch_equals_its_rows_one_by_one(layer):
    # One full-batch gradient against the sum of the rows' own, by length.
    model = masked_model(layer)
    x, y = series(3, 10)
    lengths = [10, 6, 3]
    for row, length in enumerate(lengths):
        x[row, length:] = -1
    together = clone(model)
    trainer_of(together, 20, shards="auto").train_on_batch(x, y)
    expected = [0.0] * len(model.trainable_variables)
    for row, length in enumerate(lengths):
        alone = clone(model)
        train_whole(alone, x[row : row + 1, :length], y[row : row + 1, :length])
        for index, (old, new) in enumerate(
            zip(model.get_weights(), alone.get_weights(), strict=True)
        ):
            expected[index] += (new - old) * length / sum(lengths)
    for old, new, change in zip(
        model.get_weights(), together.get_weights(), expected, strict=True
    ):
        np.testing.assert_allclose(new - old, change, atol=1e-6)


def test_a_fully_masked_window_makes_no_update_and_changes_no_optimizer_slot():
    model = masked_model()
    x, y = series(2, 8)
    x[:, 4:] = -1
    trainer = trainer_of(model, 4, optimizer=keras.optimizers.Adam(0.1))
    history = trainer.fit(x, y, verbose=0)
    assert int(trainer.optimizer.iterations) == 1
    assert np.isfinite(history.history["loss"]).all()


def test_batches_without_any_valid_step_leave_finite_metrics():
    x, y = series(2, 8)
    trainer = trainer_of(masked_model(), 4, metrics=["mae"])
    history = trainer.fit(x, y, sample_weight=np.zeros((2, 8)), verbose=0).history
    assert history["loss"] == [0.0]
    assert int(trainer.optimizer.iterations) == 0


@pytest.mark.parametrize("shape", [pytest.param("row", marks=SLOW), "step"])
def test_sample_weights_weigh_timesteps(shape):
    model = model_of(keras.layers.LSTM)
    twin = clone(model)
    x, y = series(4, 10)
    weights = np.random.default_rng(2).uniform(size=(4, 10)).astype("float32")
    if shape == "row":
        weights = np.repeat(weights[:, :1], 10, axis=1)
    given = weights[:, 0] if shape == "row" else weights
    losses, _ = train_by_hand(
        model, keras.optimizers.SGD(0.1), x, y, window=4, weights=weights
    )
    history = trainer_of(twin, 4, weighted_metrics=["mse"]).fit(
        x, y, sample_weight=given, verbose=0, shuffle=False
    )
    assert_same_weights(model, twin)
    sums = [weights[:, cut : cut + 4].sum() for cut in (0, 4, 8)]
    expected = np.average(losses, weights=sums)
    np.testing.assert_allclose(history.history["loss"], expected, rtol=1e-5)
    np.testing.assert_allclose(history.history["mse"], expected, rtol=1e-5)


def test_a_reset_inside_a_window_equals_two_separate_sequences():
    model = model_of(bk.layers.LSTM)
    x, y = series(1, 10)
    reset = np.zeros((1, 10), bool)
    reset[0, 6] = True
    joined = clone(model)
    trainer_of(joined, 20).train_on_batch({"inputs": x, "reset": reset}, y)
    changes = []
    for cut in (slice(0, 6), slice(6, 10)):
        alone = clone(model)
        train_whole(alone, x[:, cut], y[:, cut])
        new, old = alone.get_weights(), model.get_weights()
        changes.append([a - b for a, b in zip(new, old, strict=True)])
    for old, new, a, b in zip(
        model.get_weights(), joined.get_weights(), *changes, strict=True
    ):
        np.testing.assert_allclose(new - old, 0.6 * a + 0.4 * b, atol=1e-6)


@pytest.mark.parametrize(
    "layer", [pytest.param(keras.layers.LSTM, marks=SLOW), bk.layers.LSTM]
)
def test_reset_touches_only_flagged_rows(layer):
    model = model_of(layer)
    trainer = trainer_of(model, 5)
    x, _ = series(3, 10)
    flags = np.array([False, True, False])
    whole = trainer.predict_on_batch(x)
    trainer.predict_on_batch({"inputs": x[:, :5], "reset": np.ones(3, bool)})
    second = trainer.predict_on_batch({"inputs": x[:, 5:], "reset": flags})
    fresh = trainer.predict_on_batch(x[:, 5:])
    np.testing.assert_allclose(second[[0, 2]], whole[[0, 2], 5:], atol=1e-6)
    np.testing.assert_allclose(second[1], fresh[1], atol=1e-6)


def test_a_batch_without_reset_starts_anew_and_one_with_reset_continues():
    x, y = series(2, 12)
    by_hand = model_of(keras.layers.LSTM)
    twin = clone(by_hand)
    optimizer = keras.optimizers.SGD(0.1)
    _, state = train_by_hand(by_hand, optimizer, x[:, :6], y[:, :6], 3)
    train_by_hand(by_hand, optimizer, x[:, 6:], y[:, 6:], 3, state=state)
    train_by_hand(by_hand, optimizer, x[:, :6], y[:, :6], 3)
    trainer = trainer_of(twin, 3)
    trainer.train_on_batch(x[:, :6], y[:, :6])
    go_on = {"inputs": x[:, 6:], "reset": np.zeros(2, bool)}
    trainer.train_on_batch(go_on, y[:, 6:])
    trainer.train_on_batch(x[:, :6], y[:, :6])
    assert_same_weights(by_hand, twin)


def test_validation_and_prediction_never_touch_the_training_state():
    x, y = series(2, 12)
    models = [model_of(bk.layers.LSTM)]
    models.append(clone(models[0]))
    go_on = {"inputs": x[:, 6:], "reset": np.zeros(2, bool)}
    for model, disturbed in zip(models, (False, True), strict=True):
        trainer = trainer_of(model, 3)
        trainer.train_on_batch(x[:, :6], y[:, :6])
        if disturbed:
            trainer.evaluate(x[::-1], y, verbose=0)
            trainer.predict(x[::-1], verbose=0)
            trainer.test_on_batch({"inputs": x, "reset": np.zeros(2, bool)}, y)
        trainer.train_on_batch(go_on, y[:, 6:])
    assert_same_weights(*models, atol=0, rtol=0)


def test_evaluation_is_windowed_and_starts_from_the_initial_state_each_time():
    x, y = series(5, 13)
    model = model_of(bk.layers.LSTM)
    trainer = trainer_of(model, 4)
    model.compile(loss="mse")
    expected = model.evaluate(x, y, verbose=0)
    for _ in range(2):
        result = trainer.evaluate(
            {"inputs": x, "reset": np.zeros(5, bool)}, y, batch_size=5, verbose=0
        )
        np.testing.assert_allclose(result, expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("steps", "return_sequences"),
    [
        (3, True),
        (13, True),
        (13, False),
        pytest.param(4, True, marks=SLOW),
        pytest.param(3, False, marks=SLOW),
        pytest.param(4, False, marks=SLOW),
    ],
)
@pytest.mark.quick(1)
def test_prediction_in_windows_equals_one_call(steps, return_sequences):
    model = keras.Sequential(
        [keras.Input((None, 3)), bk.layers.GRU(4, return_sequences=return_sequences)]
    )
    x, _ = series(5, steps)
    predicted = bk.TruncatedBPTT(model, window=4).predict(x, batch_size=2, verbose=0)
    np.testing.assert_allclose(predicted, model(x), atol=1e-6)


def test_losses_do_not_depend_on_batch_size_or_window():
    x, y = series(7, 13)
    model = model_of(bk.layers.LSTM)
    results = [
        trainer_of(model, window).evaluate(x, y, batch_size=batch_size, verbose=0)
        for window, batch_size in [(4, 3), (5, 7), (13, 1)]
    ]
    np.testing.assert_allclose(results, results[0], rtol=1e-5)


@pytest.mark.slow
def test_xla_graph_and_eager_train_alike():
    x, y = series(5, 11)
    models = [model_of(bk.layers.GRU)]
    models += [clone(models[0]) for _ in range(2)]
    options = [{"jit_compile": True}, {"jit_compile": False}, {"run_eagerly": True}]
    for model, option in zip(models, options, strict=True):
        trainer = trainer_of(model, 4, shards="auto", **option)
        trainer.fit(x, y, batch_size=2, epochs=2, shuffle=False, verbose=0)
    assert_same_weights(models[0], models[1])
    assert_same_weights(models[0], models[2])


def test_dropout_draws_anew_in_every_window_and_batch():
    model = keras.Sequential(
        [
            keras.Input((None, 1)),
            bk.layers.SimpleRNN(1, return_sequences=True, activation="linear"),
            keras.layers.Dropout(0.5, seed=3),
        ]
    )
    for jit_compile in (False, True):
        trainer = trainer_of(
            model, 2, optimizer=keras.optimizers.SGD(0.0), jit_compile=jit_compile
        )
        x = np.ones((1, 8, 1), "float32")
        losses = [trainer.train_on_batch(x, x) for _ in range(6)]
        assert len(set(np.round(np.ravel(losses), 5))) > 3


def test_the_global_random_seed_advances_too():
    class Noise(keras.layers.Layer):
        def call(self, inputs):
            return inputs + keras.random.normal(keras.ops.shape(inputs))

    model = keras.Sequential([keras.Input((None, 2)), Noise(), keras.layers.Dense(2)])
    trainer = trainer_of(model, 2, optimizer=keras.optimizers.SGD(0.0))
    x = np.zeros((1, 4, 2), "float32")
    first, second = (trainer.train_on_batch(x, x) for _ in range(2))
    assert first[0] != second[0]


def test_moving_averages_follow_every_window():
    model = keras.Sequential(
        [keras.Input((None, 3)), keras.layers.BatchNormalization(momentum=0.5)]
    )
    x, _ = series(4, 8)
    trainer = trainer_of(model, 4, optimizer=keras.optimizers.SGD(0.0))
    trainer.train_on_batch(x, x)
    expected = np.zeros(3)
    for cut in (x[:, :4], x[:, 4:]):
        expected = 0.5 * expected + 0.5 * cut.mean((0, 1))
    moving = model.layers[0].moving_mean
    np.testing.assert_allclose(moving.numpy(), expected, atol=1e-6)


def test_regularisers_count_once_in_each_window():
    x, y = series(4, 8)
    penalised = {"kernel_regularizer": keras.regularizers.L2(0.1)}
    model = model_of(keras.layers.LSTM, **penalised)
    trainer = trainer_of(model, 4, optimizer=keras.optimizers.SGD(0.0))
    plain = trainer_of(
        clone(model), 4, optimizer=keras.optimizers.SGD(0.0), metrics=["mse"]
    )
    loss = trainer.fit(x, y, verbose=0).history["loss"][0]
    error = plain.fit(x, y, verbose=0).history["mse"][0]
    penalty = 0.1 * np.sum(model.layers[0].cell.kernel.numpy() ** 2)
    np.testing.assert_allclose(loss, error + penalty, rtol=1e-5)


def test_the_update_equals_finite_differences_with_the_state_frozen():
    model = keras.Sequential(
        [
            keras.Input((None, 2), dtype="float64"),
            bk.layers.LSTM(3, return_sequences=True, dtype="float64"),
            keras.layers.Dense(1, dtype="float64"),
        ],
    )
    for variable in model.weights:
        variable.assign(np.random.default_rng(3).normal(size=variable.shape))
    x, y = (a.astype("float64") for a in series(2, 8, features=2, outputs=1))
    step = bk.PureStep(model)
    _, state = step(x[:, :4])

    def loss():
        outputs, _ = step(x[:, 4:], state)
        return float(tf.reduce_mean((outputs - y[:, 4:]) ** 2))

    expected = []
    for variable in model.trainable_variables:
        value, slope = variable.numpy(), np.zeros(variable.shape)
        for index in np.ndindex(*variable.shape):
            ends = []
            for sign in (1, -1):
                moved = value.copy()
                moved[index] += sign * 1e-6
                variable.assign(moved)
                ends.append(loss())
            slope[index] = (ends[0] - ends[1]) / 2e-6
        variable.assign(value)
        expected.append(slope)
    # Weights of 0 in the first window: it moves the state, and nothing else.
    weights = np.repeat([[0.0] * 4 + [1.0] * 4], 2, axis=0)
    before = [v.numpy() for v in model.trainable_variables]
    trainer = bk.TruncatedBPTT(model, window=4, shards=1, dtype="float64")
    squared = keras.losses.MeanSquaredError(dtype="float64")
    trainer.compile(keras.optimizers.SGD(1.0), squared, jit_compile=False)
    trainer.train_on_batch(x, y, sample_weight=weights)
    for old, variable, slope in zip(
        before, model.trainable_variables, expected, strict=True
    ):
        # The weights and the optimizer's step size are float32 on their way.
        np.testing.assert_allclose(old - variable.numpy(), slope, atol=1e-7)


def test_each_epoch_and_each_fit_start_from_the_initial_state():
    x, y = series(4, 6)
    flagged = {"inputs": x, "reset": np.zeros(4, bool)}
    trained = []
    for calls, epochs in [(1, 2), (2, 1)]:
        keras.utils.set_random_seed(1)
        model = model_of(bk.layers.LSTM)
        trainer = trainer_of(model, 3)
        for _ in range(calls):
            trainer.fit(flagged, y, batch_size=2, epochs=epochs, verbose=0)
        trained.append(model)
    by_hand = clone(trained[0])
    keras.utils.set_random_seed(1)
    by_hand.set_weights(model_of(keras.layers.LSTM).get_weights())
    optimizer = keras.optimizers.SGD(0.1)
    for _ in range(2):
        _, state = train_by_hand(by_hand, optimizer, x[:2], y[:2], 3)
        train_by_hand(by_hand, optimizer, x[2:], y[2:], 3, state=state)
    for model in trained:
        assert_same_weights(by_hand, model)


@pytest.mark.slow
def test_training_evaluation_and_prediction_run_the_model_on_windows():
    lengths = set()

    class Noting(keras.layers.Layer):
        def call(self, inputs):
            lengths.add(inputs.shape[1])
            return inputs

    model = keras.Sequential(
        [keras.Input((None, 3)), Noting(), keras.layers.GRU(2, return_sequences=True)]
    )
    x, y = series(2, 23)
    trainer = trainer_of(model, 10)
    trainer.fit(x, y, verbose=0)
    trainer.evaluate(x, y, verbose=0)
    trainer.predict(x, verbose=0)
    # 5 and 7 are the lengths of the dry run, 3 and 4 the pieces of 7 that show whether
    # the model can be cut, None is that of building.
    assert lengths <= {10, 3, 4, 5, 7, None}
    assert {10, 3} <= lengths


def test_a_window_shorter_than_the_sequence_does_truncate():
    x, y = series(2, 12)
    trained = []
    for window in (3, 12):
        keras.utils.set_random_seed(1)
        model = model_of(bk.layers.LSTM)
        trainer_of(model, window).train_on_batch(x, y)
        trained.append(model.get_weights()[1])
    assert np.abs(trained[0] - trained[1]).max() > 1e-4


@pytest.mark.slow
def test_the_summary_ends_with_what_runs():
    model = keras.Sequential(
        [
            keras.layers.Embedding(9, 4),
            bk.layers.LSTM(5, return_sequences=True, name="low"),
            keras.layers.GRU(3, return_sequences=True, name="high"),
        ]
    )
    trainer = trainer_of(
        model, 6, loss="sparse_categorical_crossentropy", jit_compile="auto"
    )
    lines = []
    trainer.summary(print_fn=lambda line, **_: lines.append(line))
    assert "known at the first batch" in "\n".join(lines)
    trainer.fit(np.zeros((2, 8), int), np.zeros((2, 8), int), verbose=0)
    lines.clear()
    trainer.summary(print_fn=lambda line, **_: lines.append(line))
    text = "\n".join(lines)
    assert "6 timesteps: gradients reach 6 steps at most, 3.5 on average" in text
    assert "on (auto: the model compiles)" in text
    # Which of the hand-written ones: `tests/layers/test_implementation.py`.
    assert re.search(
        r"low \(LSTM, (native|fused) kernel .*\): h \(5,\), c \(5,\)", text
    )
    assert "high (GRU, Keras' loop): h (3,)" in text
    assert "a batch without `reset` starts afresh" in text


def test_auto_runs_without_xla_what_does_not_compile():
    class Python(keras.layers.Layer):
        def call(self, inputs):
            outputs = tf.numpy_function(lambda a: a, [inputs], tf.float32)
            return tf.ensure_shape(outputs, inputs.shape)

        def compute_output_shape(self, input_shape):
            return input_shape

    model = keras.Sequential(
        [
            keras.Input((None, 3)),
            Python(),
            bk.layers.LSTM(2, return_sequences=True),
        ]
    )
    trainer = trainer_of(model, 4, jit_compile="auto", loss="mse")
    trainer.fit(*series(2, 8), verbose=0)
    lines = []
    trainer.summary(print_fn=lambda line, **_: lines.append(line))
    assert "off (auto: the model does not compile: XLA has no PyFunc)" in "\n".join(
        lines
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "both_masked", [True, pytest.param(False, marks=pytest.mark.slow)]
)
def test_ends_are_aligned_only_where_all_layers_are_masked(both_masked):
    a, b = keras.Input((None,), dtype="int32"), keras.Input((None, 1))
    words = keras.layers.Embedding(9, 3, mask_zero=True)(a)
    other = keras.layers.Masking(0.0)(b) if both_masked else b
    merged = keras.layers.Concatenate()(
        [keras.layers.GRU(3)(words), keras.layers.GRU(3)(other)]
    )
    model = keras.Model([a, b], keras.layers.Dense(1)(merged))
    random = np.random.default_rng(0)
    ids = random.integers(1, 9, (6, 10))
    ids[:3, 7:] = 0
    x = (random.normal(size=(6, 10, 1)) * (ids > 0)[..., None]).astype("float32")
    y = random.normal(size=(6, 1)).astype("float32")
    trainer = trainer_of(model, 4, optimizer=keras.optimizers.SGD(0.0))
    loss = trainer.fit((ids, x), y, verbose=0).history["loss"][0]
    expected = np.mean((model([ids, x]) - y) ** 2)
    np.testing.assert_allclose(loss, expected, rtol=1e-5)
    np.testing.assert_allclose(trainer.evaluate((ids, x), y, verbose=0), expected, 1e-5)


@pytest.mark.slow
def test_training_and_evaluation_each_decide_on_xla():
    class InTraining(keras.layers.Layer):
        def call(self, inputs, training=False):
            if training:
                noise = tf.numpy_function(lambda a: 0 * a, [inputs], tf.float32)
                inputs = inputs + tf.ensure_shape(noise, inputs.shape)
            return inputs

    model = keras.Sequential(
        [keras.Input((None, 3)), InTraining(), keras.layers.Dense(2)]
    )
    trainer = trainer_of(model, 4, jit_compile="auto")
    x, y = series(2, 8)
    trainer.evaluate(x, y, verbose=0)
    trainer.fit(x, y, verbose=0)
    lines = []
    trainer.summary(print_fn=lambda line, **_: lines.append(line))
    assert "does not compile: XLA has no PyFunc" in "\n".join(lines)
