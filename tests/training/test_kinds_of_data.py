"""One trainer on several kinds of data in turn: ranks of flags, weights, targets."""

import logging

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk

ROWS, STEPS, WINDOW, IDS = 4, 12, 5, 7
RANDOM = np.random.default_rng(0)
X = RANDOM.integers(0, IDS, (ROWS, STEPS))
Y = RANDOM.integers(0, IDS, (ROWS, STEPS))
BY_ROW = np.array([1.0, 2.0, 0.0, 1.0], "float32")
BY_STEP = RANDOM.random((ROWS, STEPS)).astype("float32")
LOSS = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
RESETS = RANDOM.random((ROWS, STEPS)) > 0.7


def trainer_of(layer=keras.layers.GRU, **options):
    keras.utils.set_random_seed(2)
    model = keras.Sequential(
        [
            keras.Input((None,)),
            keras.layers.Embedding(IDS, 3),
            layer(4, return_sequences=True),
            keras.layers.Dense(IDS),
        ]
    )
    trainer = bk.TruncatedBPTT(model, WINDOW, **options)
    trainer.compile(keras.optimizers.SGD(0.5), LOSS)
    return trainer


KINDS = {
    "plain": (X, Y, None),
    "weights of rows": (X, Y, BY_ROW),
    "weights of steps": (X, Y, BY_STEP),
    "targets with an axis of 1": (X, Y[..., None], None),
    "resets of rows": ({"inputs": X, "reset": np.ones(ROWS, bool)}, Y, None),
    "resets of steps": ({"inputs": X, "reset": RESETS}, Y, None),
    "keys of rows": ({"inputs": X, "key": np.arange(ROWS)}, Y, None),
    "keys of steps": ({"inputs": X, "key": np.cumsum(RESETS, 1)}, Y, None),
    "lengths": ({"inputs": X, "lengths": np.array([12, 3, 7, 1])}, Y, None),
    "floats for ids": (X.astype("float32"), Y.astype("float64"), None),
}


FEW = ["weights of rows", "weights of steps", "resets of rows", "resets of steps"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("kinds", "options"),
    [
        (FEW, {}),
        ([*KINDS, *FEW], {}),
        ([*KINDS, *FEW], {"stride": 3}),
    ],
    ids=["few", "all", "all with a stride"],
)
def test_a_trainer_accepts_each_kind_after_every_other(kinds, options):
    """Each answers as a fresh trainer does that has seen nothing else."""
    trainer = trainer_of(**options)
    weights = trainer.get_weights()
    received = {}
    for name in [*kinds, *kinds[:2]]:
        x, y, weight = KINDS[name]
        trainer.set_weights(weights)
        loss = trainer.evaluate(x, y, sample_weight=weight, verbose=0)
        trainer.reset_state()
        trained = trainer.train_on_batch(x, y, weight, return_dict=True)["loss"]
        received.setdefault(name, (loss, trained))
        np.testing.assert_allclose((loss, trained), received[name], rtol=1e-5)
    for name in kinds[-2:]:
        x, y, weight = KINDS[name]
        fresh = trainer_of(**options)
        loss = fresh.evaluate(x, y, sample_weight=weight, verbose=0)
        assert received[name][0] == pytest.approx(loss, rel=1e-5)


@pytest.mark.slow
def test_streams_and_packed_sequences_follow_one_another():
    series = RANDOM.integers(0, IDS, 201)
    streams = bk.data.streams(series, batch_size=4, window=WINDOW)
    sequences = [RANDOM.integers(0, IDS, 11) for _ in range(8)]
    packed = bk.data.pack(sequences, batch_size=4, window=WINDOW, shuffle=False)
    trainer = trainer_of()
    for data in (streams, packed, streams):
        trainer.fit(data, validation_data=packed, verbose=0)
        alone = trainer_of()
        alone.set_weights(trainer.get_weights())
        for other in (streams, packed):
            loss = alone.evaluate(other, verbose=0)
            assert trainer.evaluate(other, verbose=0) == pytest.approx(loss, rel=1e-5)


@pytest.mark.slow
def test_steps_per_execution_and_eager_steps_accept_them_too():
    data = tf.data.Dataset.from_tensor_slices((X, Y)).batch(1)
    weighted = tf.data.Dataset.from_tensor_slices((X, Y, BY_ROW + 1)).batch(1)
    losses = []
    for options in ({"steps_per_execution": 3}, {"run_eagerly": True}, {}):
        trainer = trainer_of()
        trainer.compile(keras.optimizers.SGD(0.5), LOSS, **options)
        for each in (data, weighted, data):
            history = trainer.fit(each, verbose=0).history
        losses.append([*history["loss"], trainer.evaluate(weighted, verbose=0)])
        assert trainer.predict(X, batch_size=1, verbose=0).shape == (ROWS, STEPS, IDS)
    np.testing.assert_allclose(losses[0], losses[2], rtol=1e-5)
    np.testing.assert_allclose(losses[1], losses[2], rtol=1e-5)


@pytest.mark.slow
def test_several_trainers_are_not_mistaken_for_one_that_is_retraced(caplog):
    with caplog.at_level(logging.WARNING):
        for _ in range(6):
            trainer = trainer_of(keras.layers.SimpleRNN)
            trainer.compile("sgd", LOSS, jit_compile=False)
            trainer.fit(X, Y, verbose=0)
            trainer.evaluate(X, Y, verbose=0)
            trainer.predict(X, verbose=0)
    assert "retracing" not in caplog.text


def test_rows_and_lengths_that_vary_are_traced_three_times_at_most():
    """For the first size, for all lengths, and for many numbers of rows."""
    trainer = trainer_of()
    for rows, steps in [(4, 12), (3, 12), (2, 11), (4, 9), (1, 5), (3, 12)]:
        trainer.evaluate(X[:rows, :steps], Y[:rows, :steps], verbose=0)
    traced = trainer._step_functions["evaluate"]._traced.values()
    assert sum(each.experimental_get_tracing_count() for each in traced) <= 3
