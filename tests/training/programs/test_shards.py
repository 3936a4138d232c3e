"""Shards of a batch: the same result, up to the order of summation."""

import keras
import numpy as np
import pytest

import bptt_keras as bk
from tests.training.references import assert_same_weights, clone, model_of, series


def train(model, shards, x, y, **options):
    trainer = bk.TruncatedBPTT(model, window=4, shards=shards)
    trainer.compile(
        optimizer=keras.optimizers.SGD(0.1, global_clipnorm=0.05),
        loss="mse",
        weighted_metrics=["mae"],
        jit_compile=False,
    )
    return trainer.fit(x, y, shuffle=False, verbose=0, epochs=2, **options).history


@pytest.mark.parametrize(
    "shards",
    [
        2,
        pytest.param(3, marks=pytest.mark.slow),
        pytest.param("auto", marks=pytest.mark.slow),
    ],
)
def test_shards_train_as_one_program_does(shards):
    x, y = series(7, 10)
    weights = np.random.default_rng(1).uniform(size=(7, 10)).astype("float32")
    weights[0] = 0
    models = [model_of(bk.layers.LSTM)]
    models.append(clone(models[0]))
    # The last batch holds one row: fewer than there are shards.
    histories = [
        train(model, count, x, y, sample_weight=weights, batch_size=3)
        for model, count in zip(models, (1, shards), strict=True)
    ]
    assert_same_weights(*models)
    for name in set(histories[0]) - {"timesteps_per_second"}:
        np.testing.assert_allclose(*(h[name] for h in histories), rtol=1e-5)


def test_shards_carry_the_state_of_every_row():
    x, y = series(5, 8)
    flagged = {"inputs": x, "reset": np.array([[False] * 6 + [True, False]] * 5)}
    models = [model_of(bk.layers.LSTM)]
    models.append(clone(models[0]))
    for model, count in zip(models, (1, 2), strict=True):
        train(model, count, flagged, y, batch_size=5)
    assert_same_weights(*models)


def test_shards_draw_different_dropout_masks():
    model = keras.Sequential(
        [keras.Input((None, 64)), keras.layers.Dropout(0.5, seed=1)]
    )
    trainer = bk.TruncatedBPTT(model, window=1, shards=2)
    trainer.compile(
        keras.optimizers.SGD(0.0),
        loss=lambda y_true, y_pred: (y_true - y_pred)[..., 0],
        jit_compile=False,
    )
    model.add(keras.layers.Dense(1, kernel_initializer="ones", use_bias=False))
    x = np.ones((2, 1, 64), "float32")
    differences = []
    for _ in range(5):
        sums = trainer.train_on_batch(x, np.zeros((2, 1, 1)), return_dict=True)["loss"]
        differences.append(float(sums))
    # With one mask for both rows the mean would be an even multiple of 1/1.
    assert len(set(differences)) > 1


def test_rows_that_depend_on_one_another_are_not_sharded():
    model = keras.Sequential(
        [keras.Input((None, 3)), keras.layers.BatchNormalization()]
    )
    x, _ = series(4, 8)
    trainer = bk.TruncatedBPTT(model, window=4)
    trainer.compile("sgd", "mse")
    trainer.fit(x, x, verbose=0)
    lines = []
    trainer.summary(print_fn=lines.append)
    assert "1: rows depend on one another" in "\n".join(lines)
    asked = bk.TruncatedBPTT(model, window=4, shards=2)
    asked.compile("sgd", "mse")
    with pytest.raises(ValueError, match="cannot be cut into shards"):
        asked.fit(x, x, verbose=0)


@pytest.mark.parametrize("shards", [0, -1, 1.5, True, "two"])
def test_an_invalid_number_of_shards_is_refused(shards):
    with pytest.raises(ValueError, match="`shards` must be 'auto' or an integer"):
        bk.TruncatedBPTT(model_of(bk.layers.LSTM), window=4, shards=shards)
