"""NaN is harmless where it does not count, and refused where it does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk

ROWS, STEPS = 4, 12
RANDOM = np.random.default_rng(0)
LENGTHS = np.array([12, 5, 7, 2])
VALID = np.arange(STEPS) < LENGTHS[:, None]
X = RANDOM.normal(size=(ROWS, STEPS, 2)).astype("float32") * VALID[..., None]
Y = RANDOM.normal(size=(ROWS, STEPS, 1)).astype("float32") * VALID[..., None]
HOLES = np.where(VALID[..., None], 0, np.nan).astype("float32")
ONES = VALID.astype("float32")


def trainer_of(optimizer=None, ends=False, **options):
    keras.utils.set_random_seed(2)
    layer = keras.layers.GRU(3, return_sequences=not ends)
    model = keras.Sequential([keras.Input((None, 2)), layer, keras.layers.Dense(1)])
    trainer = bk.TruncatedBPTT(model, 5, **options)
    optimizer = optimizer or keras.optimizers.SGD(0.1)
    trainer.compile(optimizer, "mse", metrics=["mae"])
    return trainer


def padded(x=X):
    return {"inputs": x, "lengths": LENGTHS}


def results(trainer, x, y, weights=None):
    """What comes of the data as a data set and as a single batch."""
    data = (x, y) if weights is None else (x, y, weights)
    trainer.fit(tf.data.Dataset.from_tensors(data), verbose=0)
    logs = trainer.train_on_batch(x, y, weights, return_dict=True)
    return [logs["loss"], *trainer.get_weights()]


@pytest.mark.slow
@pytest.mark.parametrize("clipped", [False, True])
def test_nan_beyond_the_lengths_is_harmless(clipped):
    def optimizer():
        sgd = keras.optimizers.SGD(0.1)
        return bk.clipping.ClippedOptimizer(sgd) if clipped else sgd

    trainer = trainer_of(optimizer())
    start = trainer.get_weights()
    expected = results(trainer, padded(), Y)
    for x, y in ((padded(X + HOLES), Y), (padded(), Y + HOLES)):
        trainer.set_weights(start)
        trainer.reset_state()
        for a, b in zip(results(trainer, x, y), expected, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    if clipped:
        assert int(trainer.optimizer.skipped) == 0


@pytest.mark.slow
def test_nan_in_targets_and_weights_that_count_for_nothing_is_harmless():
    trainer = trainer_of()
    start = trainer.get_weights()
    expected = results(trainer, X, Y, ONES)
    trainer.set_weights(start)
    for a, b in zip(results(trainer, X, Y + HOLES, ONES), expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)
    trainer.set_weights(start)
    expected = results(trainer, padded(), Y, ONES)
    trainer.set_weights(start)
    received = results(trainer, padded(), Y, ONES + HOLES[..., 0])
    for a, b in zip(received, expected, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-7)


def bad(array, value=np.nan):
    array = array.copy()
    array[(1, 2) + (0,) * (array.ndim - 2)] = value
    return array


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "x", "y", "weights"),
    [
        ("x", bad(X), Y, None),
        pytest.param("x", padded(bad(X, np.inf)), Y, None, marks=pytest.mark.slow),
        ("y", X, bad(Y), None),
        pytest.param("y", padded(), bad(Y, -np.inf), None, marks=pytest.mark.slow),
        ("y", X, bad(Y), ONES),
        ("sample_weight", X, Y, bad(ONES)),
    ],
)
def test_where_it_counts_nan_is_refused_and_nothing_changes(part, x, y, weights):
    trainer = trainer_of()
    before = trainer.get_weights()
    data = (x, y) if weights is None else (x, y, weights)
    calls = [
        lambda: trainer.fit(tf.data.Dataset.from_tensors(data), verbose=0),
        lambda: trainer.evaluate(tf.data.Dataset.from_tensors(data), verbose=0),
        lambda: trainer.train_on_batch(*data),
        lambda: trainer.test_on_batch(*data),
    ]
    for call in calls:
        with pytest.raises(ValueError, match=f"`{part}` must be finite"):
            call()
    for a, b in zip(trainer.get_weights(), before, strict=True):
        np.testing.assert_array_equal(a, b)


def test_ids_and_labels_beyond_the_lengths_may_be_anything():
    ids = RANDOM.integers(0, 5, (ROWS, STEPS))
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((None,)),
            keras.layers.Embedding(5, 3),
            keras.layers.SimpleRNN(3, return_sequences=True),
            keras.layers.Dense(5),
        ]
    )
    trainer = bk.TruncatedBPTT(model, 5)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trainer.compile("sgd", loss, metrics=["accuracy"])

    def result(x, y):
        data = tf.data.Dataset.from_tensors(({"inputs": x, "lengths": LENGTHS}, y))
        return trainer.evaluate(data, verbose=0)

    outside = np.where(VALID, ids, -1)
    np.testing.assert_allclose(result(ids, ids), result(outside, outside), rtol=1e-6)


@pytest.mark.slow
def test_diverging_training_is_reported():
    trainer = trainer_of(keras.optimizers.SGD(1e30))
    with pytest.warns(UserWarning, match="In epoch 1, .* updates were left out"):
        trainer.fit(X, Y, epochs=2, verbose=0)
    trainer = trainer_of(keras.optimizers.SGD(1e30), skip_nonfinite=False)
    with pytest.warns(UserWarning, match="Not finite in epoch 1: loss"):
        trainer.fit(X, Y, epochs=2, verbose=0)
