"""Uses that once went wrong."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from tests.training.references import assert_same_weights, clone, model_of, series
from tests.training.test_fit import Batches
from tests.training.test_trainer import trainer_of


@pytest.mark.slow
def test_a_trainer_that_refused_its_first_batch_trains_on_the_next():
    x, y = series(4, 9)
    trainer = trainer_of(model_of(bk.layers.LSTM), 4)
    with pytest.raises(ValueError):
        trainer.fit(x, y[:, :8], verbose=0)
    trainer.fit(x, y, verbose=0)
    unbuilt = keras.Sequential([keras.layers.GRU(2, return_sequences=True)])
    trainer = trainer_of(unbuilt, 4)
    with pytest.raises(ValueError):
        trainer.train_on_batch(x, y[:, :8])
    trainer.train_on_batch(x, y)
    shards = bk.TruncatedBPTT(
        keras.Sequential([keras.Input((None, 3)), keras.layers.BatchNormalization()]),
        window=4,
        shards=2,
    )
    shards.compile("sgd", "mse", jit_compile=False)
    for _ in range(2):
        with pytest.raises(ValueError, match="cannot be cut into shards"):
            shards.fit(x, x, verbose=0)


def test_two_outputs_take_lists_and_tuples():
    inputs = keras.Input((None, 3))
    hidden = keras.layers.GRU(4, return_sequences=True)(inputs)
    outputs = [keras.layers.Dense(2)(hidden), keras.layers.Dense(1)(hidden)]
    model = keras.Model(inputs, outputs)
    x, y = series(3, 10)
    results = [
        trainer_of(model, 4, optimizer=keras.optimizers.SGD(0.0))
        .fit(x, targets, verbose=0)
        .history["loss"]
        for targets in ([y, y[..., :1]], (y, y[..., :1]))
    ]
    assert results[0] == results[1]
    with pytest.raises(ValueError, match="structure of the model's outputs"):
        trainer_of(model, 4).fit(x, y, verbose=0)


def test_bytes_serve_as_ids_and_labels():
    text = np.random.default_rng(0).integers(0, 256, 400).astype("uint8")
    model = keras.Sequential(
        [
            keras.layers.Embedding(256, 4),
            bk.layers.GRU(4, return_sequences=True),
            keras.layers.Dense(256),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trainer = trainer_of(model, 10, loss=loss)
    history = trainer.fit(bk.data.streams(text, batch_size=4, window=10), verbose=0)
    np.testing.assert_allclose(history.history["loss"], np.log(256), rtol=0.05)


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


def test_targets_may_leave_out_an_axis_of_one():
    x, y = series(4, 10, outputs=1)
    models = [model_of(bk.layers.LSTM, outputs=1)]
    models.append(clone(models[0]))
    for model, targets in zip(models, (y, y[..., 0]), strict=True):
        trainer_of(model, 4, metrics=["mae"]).fit(x, targets, shuffle=False, verbose=0)
    assert_same_weights(*models)


def test_class_weights_over_time_are_refused_everywhere():
    ids = np.zeros((2, 8), "int32")
    model = keras.Sequential(
        [keras.layers.Embedding(9, 4), keras.layers.GRU(9, return_sequences=True)]
    )
    trainer = trainer_of(model, 4, loss="sparse_categorical_crossentropy")
    weights = {label: 1.0 for label in range(9)}
    with pytest.raises(ValueError, match="`sample_weight` of shape"):
        trainer.train_on_batch(ids, ids, class_weight=weights)
    with pytest.raises(ValueError, match="`sample_weight` of shape"):
        trainer.fit(Batches([(ids, ids)]), class_weight=weights, verbose=0)
    dataset = tf.data.Dataset.from_tensors((ids, ids))
    with pytest.raises(ValueError, match="`sample_weight` of shape"):
        trainer.fit(dataset, class_weight=weights, verbose=0)


def test_each_use_decides_on_xla_for_itself():
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


def test_layers_of_one_name_run_side_by_side():
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


@pytest.mark.parametrize(("x_steps", "y_steps"), [(12, 14), (12, 10)])
def test_lengths_are_compared_where_tracing_does_not_know_them(x_steps, y_steps):
    x, y = series(2, x_steps)[0], series(2, y_steps)[1]
    spec = tuple(tf.TensorSpec((None, None, n), tf.float32) for n in (3, 2))
    dataset = tf.data.Dataset.from_generator(lambda: [(x, y)], output_signature=spec)
    trainer = trainer_of(model_of(bk.layers.LSTM), 4)
    with pytest.raises(ValueError, match="`y` must have the rows and timesteps"):
        trainer.fit(dataset, verbose=0)


def test_a_trainer_around_a_built_model_is_built(tmp_path):
    x, y = series(4, 8)
    trainer = trainer_of(model_of(bk.layers.LSTM), 4)
    assert trainer.built
    backup = keras.callbacks.BackupAndRestore(tmp_path / "backup")
    trainer.fit(x, y, callbacks=[backup], verbose=0)


def test_updates_that_the_loss_scale_skips_leave_the_gradient_norm_a_number():
    x, y = series(4, 8)
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=3e38
    )
    trainer = trainer_of(model_of(bk.layers.LSTM), 4, optimizer=optimizer)
    history = trainer.fit(x, 1e3 * y, epochs=2, verbose=0).history
    assert np.isfinite(history["grad_norm"]).all()


def test_metrics_that_want_rows_and_classes_get_them():
    x, _ = series(4, 10)
    labels = np.eye(3, dtype="float32")[
        np.random.default_rng(0).integers(0, 3, (4, 10))
    ]
    model = model_of(bk.layers.LSTM, outputs=3)
    model.add(keras.layers.Softmax())
    trainer = trainer_of(
        model,
        4,
        optimizer=keras.optimizers.SGD(0.0),
        loss="categorical_crossentropy",
        metrics=[keras.metrics.F1Score(average="macro"), keras.metrics.AUC()],
    )
    results = trainer.evaluate(x, labels, verbose=0, return_dict=True)
    f1 = keras.metrics.F1Score(average="macro")
    f1.update_state(labels.reshape(-1, 3), model(x).numpy().reshape(-1, 3))
    np.testing.assert_allclose(results["f1_score"], f1.result(), rtol=1e-5)


def test_a_loss_is_needed():
    trainer = bk.TruncatedBPTT(model_of(bk.layers.LSTM), window=4)
    trainer.compile("sgd")
    with pytest.raises(ValueError, match="Give `compile` a `loss`"):
        trainer.fit(*series(2, 8), verbose=0)


def test_a_stream_of_shorter_windows_than_the_trainers_warns():
    stream = bk.data.streams(np.zeros((41, 3)), batch_size=2, window=5)
    trainer = trainer_of(model_of(bk.layers.LSTM, outputs=3), 8)
    with pytest.warns(UserWarning, match="gradients never reach the 8"):
        trainer.fit(stream, verbose=0)
