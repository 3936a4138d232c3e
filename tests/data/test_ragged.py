"""Ragged batches: each sequence once, with its targets, little padding, few lengths."""

import collections
import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import bptt_keras as bk
from bptt_keras.data.ragged import is_ragged

LENGTHS = st.lists(st.integers(1, 50), min_size=1, max_size=30)
OPTIONS = dict(
    lengths=LENGTHS,
    batch_size=st.integers(1, 8),
    window=st.integers(1, 60),
    shuffle=st.booleans(),
)


def numbered(lengths):
    """Sequences in which no value occurs twice."""
    ends = np.cumsum(lengths)
    return [np.arange(e - n, e) + 1 for e, n in zip(ends, lengths, strict=True)]


def items(batches):
    """`(sequence, what stands beside it)`, cut by the lengths alone, in order."""
    found = []
    for x, *beside in batches:
        for row, length in enumerate(x["lengths"]):
            cut = [x["inputs"][row, :length], *(part[row] for part in beside)]
            found.append(tuple(tuple(np.atleast_1d(part).tolist()) for part in cut))
    return found


@settings(max_examples=100, deadline=None)
@given(**OPTIONS)
def test_every_sequence_occurs_once_with_its_target(
    lengths, batch_size, window, shuffle
):
    sequences, targets = numbered(lengths), np.arange(len(lengths))
    batches = bk.data.RaggedBatches(
        sequences, targets, batch_size=batch_size, window=window, shuffle=shuffle
    )
    expected = [(tuple(s.tolist()), (t,)) for t, s in enumerate(sequences)]
    for _ in range(2):
        received = items(batches[i] for i in range(len(batches)))
        assert collections.Counter(received) == collections.Counter(expected)
        if not shuffle:
            assert received == expected
        batches.on_epoch_end()


@settings(max_examples=100, deadline=None)
@given(**OPTIONS)
def test_targets_and_weights_of_timesteps_are_padded_alike(
    lengths, batch_size, window, shuffle
):
    sequences = numbered(lengths)
    batches = bk.data.RaggedBatches(
        sequences,
        [s * 2 for s in sequences],
        sample_weight=[s * 3.0 for s in sequences],
        batch_size=batch_size,
        window=window,
        shuffle=shuffle,
    )
    for index in range(len(batches)):
        x, y, weights = batches[index]
        np.testing.assert_array_equal(y, x["inputs"] * 2)
        np.testing.assert_array_equal(weights, x["inputs"] * 3)
        steps = np.arange(y.shape[1])
        np.testing.assert_array_equal(y > 0, steps < x["lengths"][:, None])


@settings(max_examples=100, deadline=None)
@given(**OPTIONS)
def test_padded_lengths_are_few_and_windows_are_whole(
    lengths, batch_size, window, shuffle
):
    batches = bk.data.RaggedBatches(
        numbered(lengths), batch_size=batch_size, window=window, shuffle=shuffle
    )
    short, places = set(), 0
    for index in range(len(batches)):
        x = batches[index][0]
        (rows, steps), most = x["inputs"].shape, x["lengths"].max()
        assert most <= steps and (steps < window or steps % window == 0)
        assert steps < most + window or index == 1  # see the test of shapes below
        short |= {steps} if steps < window else set()
        places += rows * steps
    assert len(short) <= 3
    assert batches.fill_rate == sum(lengths) / places


@settings(max_examples=100, deadline=None)
@given(**OPTIONS)
def test_keras_sees_in_two_batches_that_lengths_vary(
    lengths, batch_size, window, shuffle
):
    batches = bk.data.RaggedBatches(
        numbered(lengths), batch_size=batch_size, window=window, shuffle=shuffle
    )
    seen = set()
    for _ in range(3):
        shapes = [batches[index][0]["inputs"].shape[1] for index in range(len(batches))]
        seen |= set(shapes)
        assert len(set(shapes[:2])) == 2 or len(seen) == 1
        batches.on_epoch_end()


def test_rows_of_similar_length_share_a_batch():
    lengths = np.random.default_rng(0).integers(1, 200, 300)
    options = dict(batch_size=8, window=16, shuffle=True)
    batches = bk.data.RaggedBatches(numbered(lengths), **options)
    assert batches.fill_rate > 0.9
    spans = [np.ptp(batches[i][0]["lengths"]) for i in range(len(batches))]
    assert np.mean(spans) < 16


def test_the_smaller_batch_may_come_anywhere():
    batches = bk.data.RaggedBatches(
        numbered(range(1, 12)), batch_size=2, window=1, shuffle=True
    )
    alone = set()
    for _ in range(100):
        for index in range(len(batches)):
            lengths = batches[index][0]["lengths"]
            alone |= set(lengths.tolist()) if len(lengths) == 1 else set()
        batches.on_epoch_end()
    assert alone == {1, 3, 5, 7, 9, 11}


def test_a_seed_fixes_the_orders_and_each_epoch_has_its_own():
    def epochs(seed):
        batches = bk.data.RaggedBatches(
            numbered([3] * 20), batch_size=4, window=4, shuffle=True, seed=seed
        )
        found = []
        for _ in range(3):
            found.append(items(batches))
            batches.on_epoch_end()
        return found

    first = epochs(1)
    assert first == epochs(1)
    assert first[0] != first[1] != first[2] != first[0]
    assert first != epochs(2)


@pytest.mark.parametrize("kind", ["list", "generator", "lists", "ragged", "objects"])
def test_every_kind_of_list_gives_the_same_batches(kind):
    arrays = numbered([5, 2, 7])
    objects = np.empty(3, object)
    objects[:] = arrays
    sequences = {
        "list": arrays,
        "generator": (a for a in arrays),
        "lists": [a.tolist() for a in arrays],
        "ragged": tf.RaggedTensor.from_row_lengths(np.concatenate(arrays), [5, 2, 7]),
        "objects": objects,
    }[kind]
    targets = (a for a in arrays) if kind == "generator" else sequences
    options = dict(batch_size=2, window=4, shuffle=False)
    expected = items(bk.data.RaggedBatches(arrays, arrays, **options))
    assert items(bk.data.RaggedBatches(sequences, targets, **options)) == expected


def test_targets_of_several_outputs_come_by_name():
    sequences = numbered([3, 2])
    targets = {"each": [s * 2 for s in sequences], "last": [7.5, 8.5]}
    ((x, y),) = bk.data.RaggedBatches(
        sequences, targets, batch_size=2, window=4, shuffle=False
    )
    np.testing.assert_array_equal(y["each"], x["inputs"] * 2)
    assert y["last"].tolist() == [7.5, 8.5]
    assert y["last"].dtype == keras.config.floatx()


def test_structures_are_padded_array_by_array():
    sequences = [{"a": np.ones(n), "b": np.ones((n, 2), int)} for n in (3, 1)]
    ((x,),) = bk.data.RaggedBatches(sequences, batch_size=2, window=2, shuffle=False)
    assert x["inputs"]["a"].tolist() == [[1, 1, 1, 0], [1, 0, 0, 0]]
    assert x["inputs"]["b"].shape == (2, 4, 2)
    assert x["inputs"]["b"].sum() == 8


NAN = np.array([np.nan, 1.0])
BAD = {
    "an empty one": (dict(sequences=[[1], []]), ValueError, "number 1. Leave them"),
    "NaN": (dict(sequences=[[1.0], NAN]), ValueError, "infinity in number 1"),
    "few targets": (dict(targets=np.ones(3)), ValueError, "for 2 sequences"),
    "short targets": (dict(targets=[[1, 2, 3], [1]]), ValueError, "sequence 1, which"),
    "NaN targets": (dict(targets=NAN), ValueError, "`targets` must be finite"),
    "text": (dict(targets=["a", "b"]), TypeError, "`targets` must hold numbers"),
    "a number": (dict(targets=1.0), ValueError, r"shape \(\) for 2"),
    "several outputs": (
        dict(targets={"a": [1, 2], "b": [1]}),
        ValueError,
        r"`targets\['b'\]` must",
    ),
    "weights alone": (dict(sample_weight=[1, 2]), ValueError, "without targets"),
    "few weights": (
        dict(targets=[1, 2], sample_weight=[1]),
        ValueError,
        "`sample_weight` must be",
    ),
    "a batch size of 0": (dict(batch_size=0), ValueError, "`batch_size` must be"),
    "a window of 2.0": (dict(window=2.0), TypeError, "`window` must be an integer"),
    "a seed for no order": (dict(shuffle=False, seed=1), ValueError, "no effect"),
    "no decision": (dict(shuffle=None), TypeError, "True or False"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_refused(case):
    arguments, error, message = BAD[case]
    options = {"sequences": [[1, 2, 3], [4, 5, 6]], "batch_size": 2, "window": 5}
    options |= {"shuffle": True} | arguments
    with pytest.raises(error, match=message):
        bk.data.RaggedBatches(options.pop("sequences"), **options)


A, B = np.ones((5, 2)), np.ones((3, 2))
READ_AS = {
    "arrays of different lengths": ([A, B], 1, None, True),
    "arrays of one length": ([A, A], 1, None, True),
    "a tuple of arrays": ((A, B), 1, None, True),
    "lists of numbers": ([[1, 2], [3]], 1, None, True),
    "one list of numbers": ([[1, 2]], 1, None, True),
    "lists with an empty one": ([[1, 2], []], 1, None, True),
    "tensors": ([tf.ones((5, 2)), tf.ones((3, 2))], 1, None, True),
    "a ragged tensor": (tf.ragged.constant([[1, 2], [3]]), 1, None, True),
    "an array of arrays": (np.array([A, B], object), 1, None, True),
    "one vector": ([np.ones(5)], 1, None, True),
    "one input in a list": ([A], 1, None, False),
    "one sequence by rank": ([A], 1, 3, True),
    "one batch by rank": ([A], 1, 2, False),
    "several inputs": ([A, A], 2, None, False),
    "several inputs of different rows": ([A, B], 2, None, False),
    "dicts for several inputs": ([{"a": A, "b": A}, {"a": B, "b": B}], 2, None, True),
    "tuples for several inputs": ([(A, A), (B, B)], 2, None, True),
    "one tuple of inputs": ([(A, A)], 2, None, False),
    "three arrays for two inputs": ([A, A, A], 2, None, False),
    "numbers": ([1.0, 2.0], 1, None, False),
    "an array": (A, 1, None, False),
    "a dict": ({"inputs": A}, 1, None, False),
    "nothing": (None, 1, None, False),
    "an empty list": ([], 1, None, False),
    "a dataset": (tf.data.Dataset.from_tensors(A), 1, None, False),
}


@pytest.mark.parametrize("case", READ_AS)
def test_lists_of_sequences_are_distinguished_from_inputs(case):
    x, inputs, rank, expected = READ_AS[case]
    assert is_ragged(x, inputs, rank=rank) is expected


def test_keras_trains_and_predicts_on_every_length():
    rng = np.random.default_rng(0)
    # The first batches are alike, and the last one is not.
    lengths = [3] * 8 + [9, 2, 17]
    sequences = [rng.normal(size=(n, 2)).astype("float32") for n in lengths]
    inputs = {
        "inputs": keras.Input((None, 2), name="inputs"),
        "lengths": keras.Input((), name="lengths", dtype="int64"),
    }
    hidden = keras.layers.SimpleRNN(3, return_sequences=True)(inputs["inputs"])
    # Keras 3.12 wants every input to be used.
    outputs = keras.layers.Lambda(lambda both: both[0])([hidden, inputs["lengths"]])
    model = keras.Model(inputs, outputs)
    model.compile("sgd", "mse", jit_compile=False)
    options = dict(batch_size=2, window=4)
    targets = [np.zeros((n, 3)) for n in lengths]
    train = bk.data.RaggedBatches(sequences, targets, shuffle=True, **options)
    model.fit(train, epochs=3, verbose=0)
    ordered = bk.data.RaggedBatches(sequences, shuffle=False, **options)
    outputs = bk.data.unpad(model.predict(ordered, verbose=0), ordered.lengths)
    for sequence, output in zip(sequences, outputs, strict=True):
        alone = {"inputs": sequence[None], "lengths": np.array([len(sequence)])}
        # Another batch size sums in another order.
        np.testing.assert_allclose(output, model(alone)[0], atol=1e-5)


def test_real_chorales_are_padded_little(shared_data):
    path = shared_data / "jsb_chorales" / "jsb-chorales-quarter.json"
    lengths = [len(piece) for piece in json.loads(path.read_text())["train"]]
    batches = bk.data.RaggedBatches(
        numbered(lengths), batch_size=16, window=16, shuffle=True
    )
    assert batches.fill_rate > 0.8
    assert np.mean(lengths) / max(lengths) < 0.5  # padded to the longest of all
