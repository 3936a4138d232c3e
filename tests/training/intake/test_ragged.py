"""Sequences of different lengths in `fit`, `evaluate` and `predict`."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from tests.training.references import assert_same_weights, clone

pytestmark = pytest.mark.both_ways


def sequences(lengths, seed=0):
    random = np.random.default_rng(seed)
    x = [random.normal(size=(n, 3)).astype("float32") for n in lengths]
    return x, [np.roll(s, 1, axis=1)[:, :2] for s in x]


def model_of(sequences=True):
    return keras.Sequential(
        [
            keras.Input((None, 3)),
            bk.layers.LSTM(4, return_sequences=sequences),
            keras.layers.Dense(2),
        ]
    )


def trainer_of(model, window=6, **options):
    trainer = bk.TruncatedBPTT(model, window, shards=1, **options)
    trainer.compile(
        keras.optimizers.SGD(0.1), "mse", metrics=["mae"], jit_compile=False
    )
    return trainer


LENGTHS = [9, 4, 14, 1, 6]


def test_evaluation_counts_each_timestep_once():
    x, y = sequences(LENGTHS)
    model = model_of()
    errors = [np.asarray(model(s[None]))[0] - t for s, t in zip(x, y, strict=True)]
    joint = np.concatenate(errors)
    loss, mae = trainer_of(model).evaluate(x, y, batch_size=2, verbose=0)
    np.testing.assert_allclose(loss, np.mean(joint**2), rtol=1e-5)
    np.testing.assert_allclose(mae, np.mean(np.abs(joint)), rtol=1e-5)


def test_predictions_are_as_long_as_their_sequences():
    x, _ = sequences(LENGTHS)
    model = model_of()
    outputs = trainer_of(model).predict(x, batch_size=2, verbose=0)
    assert [len(output) for output in outputs] == LENGTHS
    for sequence, output in zip(x, outputs, strict=True):
        np.testing.assert_allclose(output, model(sequence[None])[0], atol=1e-6)


def test_one_answer_for_a_sequence_is_that_at_its_end():
    x, _ = sequences(LENGTHS)
    model = model_of(sequences=False)
    outputs = trainer_of(model).predict(x, batch_size=2, verbose=0)
    expected = [model(sequence[None])[0] for sequence in x]
    np.testing.assert_allclose(outputs, expected, atol=1e-6)


def test_training_equals_that_on_padded_rows_with_lengths():
    x, y = sequences(LENGTHS)
    model = model_of()
    twin = clone(model)
    padded_x, padded_y = (
        np.zeros((5, 18, 3), "float32"),
        np.zeros((5, 18, 2), "float32"),
    )
    for row, (a, b) in enumerate(zip(x, y, strict=True)):
        padded_x[row, : len(a)], padded_y[row, : len(a)] = a, b
    first, second = trainer_of(model), trainer_of(twin)
    first.fit(x, y, batch_size=5, shuffle=False, verbose=0)
    second.fit(
        {"inputs": padded_x, "lengths": np.array(LENGTHS)},
        padded_y,
        batch_size=5,
        shuffle=False,
        verbose=0,
    )
    assert_same_weights(model, twin)


@pytest.mark.parametrize("kind", ["list", "ragged tensor"])
@pytest.mark.parametrize("window", [6, pytest.param(None, marks=pytest.mark.slow)])
@pytest.mark.quick(1)
def test_fit_learns_from_lists_with_validation(kind, window):
    x, y = sequences(LENGTHS * 4)
    if kind == "ragged tensor":
        x, y = (tf.ragged.stack([tf.constant(s) for s in part]) for part in (x, y))
    trainer = trainer_of(model_of(), window)
    history = trainer.fit(
        x, y, batch_size=4, epochs=3, validation_split=0.2, verbose=0
    ).history
    assert history["loss"][-1] < history["loss"][0]
    assert len(history["val_loss"]) == 3


def test_a_packed_dataset_trains_each_sequence_alone():
    x, _ = sequences([9, 4, 14, 3, 6, 11])
    series = [s[:, :1].repeat(3, 1) for s in x]
    targets = [s[:, :2] for s in series]
    model = model_of()
    expected = [
        np.asarray(model(s[None]))[0] - t for s, t in zip(series, targets, strict=True)
    ]
    joint = np.concatenate(expected)
    dataset = bk.data.pack(
        series, batch_size=2, window=6, targets=targets, shuffle=False
    )
    assert dataset.fill_rate < 1
    loss, mae = trainer_of(model).evaluate(dataset, verbose=0)
    np.testing.assert_allclose(loss, np.mean(joint**2), rtol=1e-5)
    np.testing.assert_allclose(mae, np.mean(np.abs(joint)), rtol=1e-5)
    history = trainer_of(clone(model), stride=2).fit(dataset, epochs=2, verbose=0)
    np.testing.assert_array_less(history.history["loss"][1], history.history["loss"][0])


def test_a_validation_split_that_leaves_nothing_is_refused():
    x, y = sequences([4, 5])
    with pytest.raises(ValueError, match="`validation_split` must leave sequences"):
        trainer_of(model_of()).fit(x, y, validation_split=0.6, verbose=0)


def test_arguments_that_a_list_cannot_have_are_refused():
    x, _ = sequences(LENGTHS)
    with pytest.raises(ValueError, match="steps"):
        trainer_of(model_of()).predict(x, steps=1)


@pytest.mark.slow
@pytest.mark.parametrize("burn_in", [0, 2])
def test_full_backpropagation_from_the_end_takes_all_lengths_under_xla(burn_in):
    x, _ = sequences([3, 4, 7, 8, 11, 12, 5, 16])
    y = np.random.default_rng(1).normal(size=(8, 2)).astype("float32")
    batches = bk.data.RaggedBatches(x, y, batch_size=2, window=16, shuffle=False)
    found = []
    for xla in (True, False):
        keras.utils.set_random_seed(3)
        trainer = bk.TruncatedBPTT(model_of(False), None, burn_in=burn_in)
        trainer.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=xla)
        # The second epoch comes in lengths that the trace does not know.
        trainer.fit(batches, epochs=2, verbose=0)
        found.append(trainer.get_weights())
    for a, b in zip(*found, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6)
