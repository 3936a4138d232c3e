"""Every container of numbers gives the same result as plain arrays."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.training.intake.containers import as_arrays, from_containers
from bptt_keras.training.intake.ragged_padding import pad_batch
from tests.training.intake.test_ragged import LENGTHS, model_of, sequences
from tests.training.test_fit import Batches


def trainer_of(model, window=6):
    trainer = bk.TruncatedBPTT(model, window)
    trainer.compile(keras.optimizers.SGD(0.1), "mse", metrics=["mae"])
    return trainer


def ragged(arrays):
    return tf.RaggedTensor.from_row_lengths(
        np.concatenate(arrays), [len(array) for array in arrays]
    )


def dataset(*parts, size=2):
    return tf.data.Dataset.from_tensor_slices(parts).batch(size)


class Table:
    """What reads as an array and is none, as a table of pandas does."""

    def __init__(self, array):
        self._array = array

    def __array__(self, dtype=None, copy=None):
        return np.asarray(self._array, dtype)


GRID = np.arange(12.0).reshape(4, 3)
CONTAINERS = {
    "variable": tf.Variable(GRID),
    "table": Table(GRID),
    "objects": GRID.astype(object),
    "array of arrays": np.array([*map(list, GRID), None], object)[:-1],
    "masked array": np.ma.MaskedArray(GRID, np.zeros_like(GRID, bool)),
    "lists": GRID.tolist(),
    "tuples": tuple(map(tuple, GRID.tolist())),
    "list of arrays": list(GRID),
    "view": np.repeat(GRID, 2, axis=1)[:, ::2],
}


@pytest.mark.parametrize("kind", CONTAINERS)
def test_each_container_becomes_the_array_that_it_holds(kind):
    found = as_arrays(from_containers(CONTAINERS[kind]), rows=4)
    if kind == "array of arrays":  # sequences, if they are given as `x`
        found = np.stack(found)
    np.testing.assert_array_equal(found, GRID)


def test_masked_arrays_are_refused_because_masked_values_would_count():
    masked = np.ma.MaskedArray(GRID, GRID > 5)
    with pytest.raises(ValueError, match="6 masked values"):
        from_containers(masked)


def test_a_list_for_several_outputs_stays_a_list():
    pair = [[1, 2, 3], [4, 5, 6]]
    first, second = as_arrays(pair, count=2, rows=3)
    assert first.tolist() == pair[0] and second.tolist() == pair[1]


@pytest.mark.parametrize(
    "kind",
    [
        "list",
        *(
            pytest.param(kind, marks=pytest.mark.slow)
            for kind in ("tuple", "objects", "variable")
        ),
    ],
)
def test_one_target_for_a_sequence_may_be_a_list(kind):
    x = np.stack(sequences([5] * 4)[0])
    y = [0.0, 1.0, 2.0, 3.0]
    given = {
        "list": y,
        "tuple": tuple(y),
        "objects": np.array(y, object),
        "variable": tf.Variable(y),
    }[kind]
    model = keras.Sequential([keras.Input((None, 3)), bk.layers.GRU(1)])
    trainer = trainer_of(model)
    expected = trainer.evaluate(x, np.array(y), verbose=0)
    np.testing.assert_allclose(trainer.evaluate(x, given, verbose=0), expected)
    history = trainer.fit(x, given, validation_data=(x, given), verbose=0).history
    assert "val_loss" in history


@pytest.mark.slow
def test_sequences_of_one_length_may_have_arrays_beside_them():
    x, y = sequences([7] * 4)
    weights = np.random.default_rng(3).random((4, 7))
    trainer = trainer_of(model_of())
    expected = trainer.evaluate(np.stack(x), np.stack(y), 4, 0, weights)
    for targets in (y, np.stack(y)):
        found = trainer.evaluate(x, targets, 4, 0, weights)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    trainer.fit(x, np.stack(y), validation_split=0.5, verbose=0)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "bool", "float16", "bfloat16"])
def test_sequences_of_any_numbers_are_padded(dtype):
    numbers = [tf.cast(values, dtype).numpy() for values in ([0, 1], [1])]
    ((x,),) = bk.data.RaggedBatches(numbers, batch_size=2, window=2, shuffle=False)
    assert x["inputs"].astype("float32").tolist() == [[0, 1], [1, 0]]


def test_a_tuple_of_numbers_is_one_sequence():
    ((x,),) = bk.data.RaggedBatches(
        ((1, 2, 3), (4,)), batch_size=2, window=3, shuffle=False
    )
    assert x["inputs"].tolist() == [[1, 2, 3], [4, 0, 0]]


@pytest.mark.slow
def test_a_ragged_dataset_is_evaluated_as_its_sequences_are():
    x, y = sequences(LENGTHS)
    trainer = trainer_of(model_of())
    expected = trainer.evaluate(x, y, batch_size=2, verbose=0)
    keyed = dataset(ragged(x), ragged(y)).map(lambda x, y: ({"inputs": x}, y))
    batches = [(ragged(x[i : i + 2]), ragged(y[i : i + 2])) for i in (0, 2, 4)]
    for data in (
        dataset(ragged(x), ragged(y)),
        keyed,
        Batches(batches),
        (batch for batch in batches),
    ):
        np.testing.assert_allclose(
            trainer.evaluate(data, verbose=0), expected, rtol=1e-5
        )


@pytest.mark.slow
def test_a_ragged_dataset_trains_and_validates():
    x, y = sequences(LENGTHS)
    data = dataset(ragged(x), ragged(y))
    history = trainer_of(model_of()).fit(
        data, validation_data=data, epochs=2, verbose=0
    )
    losses = history.history["loss"] + history.history["val_loss"]
    assert np.isfinite(losses).all()
    one = np.random.default_rng(1).normal(size=(5, 2)).astype("float32")
    trainer = trainer_of(model_of(sequences=False))
    trainer.fit(dataset(ragged(x), one), verbose=0)
    np.testing.assert_allclose(
        trainer.evaluate(dataset(ragged(x), one), verbose=0),
        trainer.evaluate(x, one, batch_size=2, verbose=0),
        rtol=1e-5,
    )


@pytest.mark.slow
@pytest.mark.parametrize(
    "kind",
    [
        "dataset",
        pytest.param("generator", marks=pytest.mark.slow),
        pytest.param("PyDataset", marks=pytest.mark.slow),
    ],
)
def test_predictions_on_ragged_batches_are_as_long_as_their_sequences(kind):
    x, _ = sequences(LENGTHS)
    model = model_of()
    batches = [ragged(x[i : i + 2]) for i in (0, 2, 4)]
    data = {
        "dataset": dataset(ragged(x)),
        "generator": (batch for batch in batches),
        "PyDataset": Batches([(batch,) for batch in batches]),
    }[kind]
    found = trainer_of(model).predict(data, verbose=0)
    assert [len(output) for output in found] == LENGTHS
    for sequence, output in zip(x, found, strict=True):
        np.testing.assert_allclose(output, model(sequence[None])[0], atol=1e-5)


@pytest.mark.slow
def test_single_batches_may_be_sequences():
    x, y = sequences(LENGTHS)
    trainer = trainer_of(model_of())
    expected = trainer.evaluate(x, y, verbose=0)
    for data in ((x, y), (ragged(x), ragged(y)), ({"inputs": ragged(x)}, ragged(y))):
        np.testing.assert_allclose(trainer.test_on_batch(*data), expected, rtol=1e-5)
    assert trainer.predict_on_batch(x).shape == (5, 18, 2)
    trainer.train_on_batch(x, y)


def test_a_ragged_batch_is_padded_to_few_lengths():
    model, found = model_of(), []
    for longest in range(1, 20):
        batch = ragged(sequences([longest, 1])[0])
        (x,) = pad_batch((batch,), model, 8)
        assert x["lengths"].numpy().tolist() == [longest, 1]
        found.append(x["inputs"].shape[1])
    assert set(found) == {2, 4, 8, 16, 24}
    assert all(steps >= longest for longest, steps in enumerate(found, start=1))


def test_ragged_batches_that_do_not_fit_are_refused():
    x, y = sequences(LENGTHS)
    trainer = trainer_of(model_of())
    other = ragged([*y[:-1], y[0]])
    with pytest.raises(ValueError, match="`y` with other lengths"):
        trainer.fit(dataset(ragged(x), other), verbose=0)
    with pytest.raises(ValueError, match="only if the inputs are"):
        trainer.train_on_batch(np.zeros((5, 14, 3)), ragged(y))
    with pytest.raises(ValueError, match="how long their rows are"):
        trainer.predict_on_batch({"inputs": ragged(x), "lengths": LENGTHS})


def test_timesteps_made_ragged_by_nested_lists_are_dense():
    nested = tf.ragged.constant([[[1.0, 2.0, 3.0]] * n for n in (2, 3)])
    data = tf.data.Dataset.from_tensor_slices(nested).batch(2)
    outputs = trainer_of(model_of()).predict(data, verbose=0)
    assert [output.shape for output in outputs] == [(2, 2), (3, 2)]


@pytest.mark.parametrize("shape", [(5,), (5, 1)])
def test_one_weight_for_each_sequence_stays_one(shape):
    x, y = sequences(LENGTHS)
    weights = np.arange(5.0).reshape(shape)
    batches = bk.data.RaggedBatches(
        x, y, sample_weight=weights, batch_size=5, window=6, shuffle=False
    )
    np.testing.assert_array_equal(batches[0][2], weights)
