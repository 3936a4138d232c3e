"""`fit` as users call it: sources of data, optimizers, precision, saving."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from tests.training.references import assert_same_weights, clone, model_of, series
from tests.training.test_trainer import trainer_of


class Batches(keras.utils.PyDataset):
    def __init__(self, batches):
        super().__init__()
        self.batches = batches

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        return self.batches[index]


def test_every_source_of_data_trains_alike():
    x, y = series(6, 11)
    batches = [(x[i : i + 4], y[i : i + 4]) for i in (0, 4)]
    sources = {
        "arrays": dict(x=x, y=y, batch_size=4, shuffle=False),
        "tf.data": dict(x=tf.data.Dataset.from_tensor_slices((x, y)).batch(4)),
        "PyDataset": dict(x=Batches(batches), shuffle=False),
        "generator": dict(x=(batch for batch in batches), steps_per_epoch=2),
    }
    model = model_of(bk.layers.LSTM)
    trainer, start = trainer_of(model, 4), model.get_weights()
    trained = {}
    for name, arguments in sources.items():
        model.set_weights(start)
        trainer.fit(**arguments, verbose=0)
        trained[name] = clone(model)
    for name in sources:
        assert_same_weights(trained["arrays"], trained[name])
    assert any((a != b).any() for a, b in zip(start, model.get_weights(), strict=True))


def test_the_last_batch_may_hold_one_row():
    x, y = series(5, 9)
    trainer = trainer_of(model_of(bk.layers.LSTM), 4, shards=2, jit_compile=True)
    history = trainer.fit(x, y, batch_size=4, epochs=2, verbose=0)
    assert np.isfinite(history.history["loss"]).all()


@pytest.mark.slow
@pytest.mark.parametrize(("rows", "shards"), [(2, 1), (4, 2)])
def test_batches_as_large_as_the_probe_train(rows, shards):
    """Whether XLA compiles the model is tried with two rows."""
    model = keras.Sequential(
        [
            keras.layers.Embedding(7, 3),
            bk.layers.LSTM(4, return_sequences=True),
            keras.layers.Dense(7),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=5, shards=shards)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trainer.compile(keras.optimizers.SGD(0.1), loss=loss)
    tokens = np.arange(rows * 10 + 1) % 7
    stream = bk.data.streams(tokens, batch_size=rows, window=5)
    history = trainer.fit(stream, verbose=0)
    assert history.history["grad_norm"][0] > 0


@pytest.mark.slow
def test_lengths_may_change_from_batch_to_batch():
    first = model_of(bk.layers.LSTM)
    twin = clone(first)
    lengths = [9, 4, 3, 12, 7]
    batches = [series(2, length, seed=length) for length in lengths]
    one_by_one = trainer_of(first, 4, run_eagerly=True)  # no trace for each length
    for x, y in batches:
        one_by_one.train_on_batch(x, y)

    def generate():
        yield from batches

    spec = tuple(tf.TensorSpec((2, None, n), tf.float32) for n in (3, 2))
    dataset = tf.data.Dataset.from_generator(generate, output_signature=spec)
    trainer_of(twin, 4, jit_compile=True).fit(dataset, verbose=0)
    assert_same_weights(first, twin)
    lengths_unknown = bk.TruncatedBPTT(first, window=4, shards=1)
    predicted = lengths_unknown.predict(dataset.take(1), verbose=0)
    np.testing.assert_allclose(predicted, first(batches[0][0]), atol=1e-5)


def test_steps_per_execution_changes_nothing():
    x, y = series(10, 9)
    models = [model_of(bk.layers.LSTM)]
    models.append(clone(models[0]))
    for model, steps in zip(models, (1, 3), strict=True):
        trainer = trainer_of(model, 4, steps_per_execution=steps)
        trainer.fit(x, y, batch_size=2, shuffle=False, verbose=0)
    assert_same_weights(*models)


def test_what_is_reported_has_the_types_of_keras():
    x, y = np.ones((2, 4, 2), "float32"), np.ones((2, 4, 3), "float32")
    model = keras.Sequential([keras.layers.SimpleRNN(3, return_sequences=True)])
    model.compile("sgd", "mse", metrics=["mae"])
    trainer = bk.TruncatedBPTT(model, window=2)
    trainer.compile("sgd", "mse", metrics=["mae"])
    for named in (False, True):
        ours, keras_own = (
            keras.tree.flatten(m.evaluate(x, y, verbose=0, return_dict=named))
            for m in (trainer, model)
        )
        assert list(map(type, ours)) == list(map(type, keras_own)) == [float, float]


def test_validation_data_and_split_are_evaluated():
    x, y = series(8, 9)
    history = trainer_of(model_of(bk.layers.LSTM), 4, metrics=["mae"]).fit(
        x, y, validation_split=0.25, epochs=2, verbose=0
    )
    validated = {name for name in history.history if name.startswith("val_")}
    assert validated == {"val_loss", "val_mae"}
    assert {"loss", "mae", "grad_norm"} <= set(history.history)


OPTIMIZERS = {
    "clipnorm": lambda: keras.optimizers.SGD(0.1, clipnorm=0.01),
    "global_clipnorm": lambda: keras.optimizers.Adam(0.01, global_clipnorm=0.01),
    "clipvalue": lambda: keras.optimizers.SGD(0.1, clipvalue=0.001),
    "schedule": lambda: keras.optimizers.SGD(
        keras.optimizers.schedules.ExponentialDecay(0.1, 1, 0.5)
    ),
    "ema": lambda: keras.optimizers.SGD(
        0.1, use_ema=True, ema_momentum=0.5, ema_overwrite_frequency=2
    ),
    "accumulation": lambda: keras.optimizers.SGD(0.1, gradient_accumulation_steps=2),
    "adamw": lambda: keras.optimizers.AdamW(0.01, weight_decay=0.1),
    "loss_scale": lambda: keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1), initial_scale=64.0
    ),
}


# The others go the same way through the trainer.
QUICK = {"global_clipnorm", "ema", "accumulation", "loss_scale"}


@pytest.mark.parametrize(
    "name",
    [n if n in QUICK else pytest.param(n, marks=pytest.mark.slow) for n in OPTIMIZERS],
)
@pytest.mark.quick(2)
def test_every_optimizer_acts_on_each_window_as_train_on_batch_would(name):
    # One batch of one window each, against the same windows inside one batch: the
    # state is taken out of play by a model without any.
    x, y = series(3, 12)
    model = keras.Sequential([keras.Input((None, 3)), keras.layers.Dense(2)])
    twin = clone(model)
    model.compile(optimizer=OPTIMIZERS[name](), loss="mse")
    for start in (0, 4, 8):
        model.train_on_batch(x[:, start : start + 4], y[:, start : start + 4])
    trainer = trainer_of(twin, 4, optimizer=OPTIMIZERS[name](), jit_compile=True)
    trainer.train_on_batch(x, y)
    assert_same_weights(model, twin, atol=2e-6)


def test_the_gradient_norm_is_that_before_clipping_and_scaling():
    x, y = series(3, 4)
    model = model_of(bk.layers.LSTM)
    with tf.GradientTape() as tape:
        loss = tf.reduce_mean((model(x) - y) ** 2)
    gradients = tape.gradient(loss, [v.value for v in model.trainable_variables])
    expected = tf.linalg.global_norm(gradients).numpy()
    optimizer = keras.optimizers.LossScaleOptimizer(
        keras.optimizers.SGD(0.1, global_clipnorm=1e-3), initial_scale=64.0
    )
    trainer = trainer_of(model, 4, optimizer=optimizer)
    history = trainer.fit(x, y, verbose=0).history
    np.testing.assert_allclose(history["grad_norm"], expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("policy", "jit_compile"),
    [
        ("mixed_bfloat16", False),
        ("mixed_float16", True),
        pytest.param("mixed_bfloat16", True, marks=pytest.mark.slow),
        pytest.param("mixed_float16", False, marks=pytest.mark.slow),
    ],
)
@pytest.mark.quick(1)
def test_mixed_precision_trains(policy, jit_compile):
    keras.config.set_dtype_policy(policy)
    x, _ = series(8, 12)
    y = np.cumsum(x, axis=1)[..., :2] / 4
    model = model_of(bk.layers.LSTM, units=16)
    trainer = trainer_of(
        model, 4, optimizer=keras.optimizers.Adam(0.03), jit_compile=jit_compile
    )
    scaled = isinstance(trainer.optimizer, keras.optimizers.LossScaleOptimizer)
    assert scaled == (policy == "mixed_float16")
    losses = trainer.fit(x, y, epochs=25, verbose=0).history["loss"]
    assert losses[-1] < 0.6 * losses[0]


def test_frozen_layers_do_not_change():
    model = model_of(bk.layers.LSTM)
    model.layers[0].trainable = False
    before = model.layers[0].get_weights()
    x, y = series(3, 8)
    trainer_of(model, 4).fit(x, y, verbose=0)
    for old, new in zip(before, model.layers[0].get_weights(), strict=True):
        np.testing.assert_array_equal(old, new)


def test_callbacks_see_the_inner_model_train(tmp_path):
    x, y = series(6, 9)
    trainer = trainer_of(model_of(bk.layers.LSTM), 4)
    best = tmp_path / "best.weights.h5"
    callbacks = [
        keras.callbacks.ModelCheckpoint(
            best, save_weights_only=True, save_best_only=True, monitor="loss"
        ),
        keras.callbacks.CSVLogger(tmp_path / "log.csv"),
        keras.callbacks.EarlyStopping(monitor="loss", patience=1),
        keras.callbacks.LearningRateScheduler(lambda epoch: 0.1 / (epoch + 1)),
    ]
    trainer.fit(x, y, epochs=2, callbacks=callbacks, verbose=0)
    assert best.exists()
    assert "grad_norm" in (tmp_path / "log.csv").read_text().splitlines()[0]
    np.testing.assert_allclose(float(trainer.optimizer.learning_rate), 0.05)


@pytest.mark.parametrize(
    "built_by_fit", [pytest.param(True, marks=pytest.mark.slow), False]
)
def test_a_saved_trainer_continues_as_if_it_had_not_stopped(tmp_path, built_by_fit):
    x, y = series(4, 9)
    layers = [bk.layers.LSTM(5, return_sequences=True), keras.layers.Dense(2)]
    if not built_by_fit:
        layers.insert(0, keras.Input((None, 3)))
    trainer = trainer_of(
        keras.Sequential(layers), 4, optimizer=keras.optimizers.Adam(0.01)
    )
    trainer.fit(x, y, verbose=0, shuffle=False)
    trainer.save(tmp_path / "trainer.keras")
    loaded = keras.models.load_model(tmp_path / "trainer.keras")
    assert loaded.window == 4
    np.testing.assert_array_equal(
        loaded.predict(x, verbose=0), trainer.predict(x, verbose=0)
    )
    for one in (trainer, loaded):
        one.fit(x, y, verbose=0, shuffle=False)
    assert_same_weights(trainer.model, loaded.model)


@pytest.mark.slow
def test_a_loaded_trainer_remembers_how_it_was_compiled(tmp_path):
    for choice in (True, False, "auto"):
        trainer = trainer_of(model_of(bk.layers.LSTM), 4, jit_compile=choice)
        trainer.fit(*series(2, 4), verbose=0)
        trainer.save(tmp_path / "trainer.keras")
        loaded = keras.models.load_model(tmp_path / "trainer.keras")
        assert loaded.get_compile_config()["jit_compile"] == choice


def test_the_inner_model_is_a_plain_keras_model(tmp_path):
    x, y = series(4, 9)
    model = model_of(keras.layers.LSTM)
    trainer_of(model, 4).fit(x, y, verbose=0)
    model.save(tmp_path / "model.keras")
    loaded = keras.models.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(loaded(x), model(x))
    assert "call" not in vars(model.layers[0])


def test_the_configuration_describes_the_trainer():
    trainer = bk.TruncatedBPTT(model_of(bk.layers.GRU), window=7, name="mine")
    twin = bk.TruncatedBPTT.from_config(trainer.get_config())
    assert twin.get_config() == trainer.get_config()
    assert (twin.window, twin.name) == (7, "mine")


@pytest.mark.slow
def test_several_outputs_have_their_own_losses():
    inputs = keras.Input((None, 3))
    hidden = keras.layers.GRU(4, return_sequences=True)(inputs)
    outputs = {"a": keras.layers.Dense(2)(hidden), "b": keras.layers.Dense(1)(hidden)}
    model = keras.Model(inputs, outputs)
    x, y = series(3, 10)
    targets = {"a": y, "b": y[..., :1]}
    trainer = trainer_of(
        model, 4, loss={"a": "mse", "b": "mae"}, loss_weights={"a": 1.0, "b": 0.5}
    )
    optimizer = keras.optimizers.SGD(0.0)
    trainer.compile(
        optimizer=optimizer,
        loss={"a": "mse", "b": "mae"},
        loss_weights={"a": 1.0, "b": 0.5},
        jit_compile=False,
    )
    results = trainer.fit(x, targets, verbose=0).history
    whole = model(x)
    a = np.mean((whole["a"] - targets["a"]) ** 2)
    b = np.mean(np.abs(whole["b"] - targets["b"]))
    np.testing.assert_allclose(results["a_loss"], a, rtol=1e-4)
    np.testing.assert_allclose(results["b_loss"], b, rtol=1e-4)
    np.testing.assert_allclose(results["loss"], a + 0.5 * b, rtol=1e-4)


@pytest.mark.slow
def test_two_outputs_accept_lists_and_tuples():
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
def test_targets_may_omit_an_axis_of_size_one():
    x, y = series(4, 10, outputs=1)
    models = [model_of(bk.layers.LSTM, outputs=1)]
    models.append(clone(models[0]))
    for model, targets in zip(models, (y, y[..., 0]), strict=True):
        trainer_of(model, 4, metrics=["mae"]).fit(x, targets, shuffle=False, verbose=0)
    assert_same_weights(*models)


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
