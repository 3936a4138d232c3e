"""Packed sequences: every timestep once, resets at starts, nothing leaks across."""

import collections
import json
import tracemalloc

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import bptt_keras as bk
from bptt_keras.data.sequences import Sequences
from tests.data.test_streams import counting_trainer


def collect(dataset):
    return [tf.nest.map_structure(lambda t: t.numpy(), batch) for batch in dataset]


def rows_of(batches):
    """Inputs, resets, valid flags and targets of the streams, `(batch, time, ...)`."""
    xs = [batch[0] for batch in batches]
    inputs, reset = (
        np.concatenate([x[name] for x in xs], axis=1) for name in ("inputs", "reset")
    )
    valid = np.concatenate(
        [x.get("mask", np.ones(x["reset"].shape, bool)) for x in xs], axis=1
    )
    y = None
    if len(batches[0]) == 2:
        y = np.concatenate([batch[1] for batch in batches], axis=1)
    return inputs, reset, valid, y


def unpacked(batches):
    """The sequences and their targets, told apart by resets and valid flags alone."""
    found = []
    inputs, reset, valid, y = rows_of(batches)
    for row in range(len(inputs)):
        end = int(valid[row].sum())
        starts = [*np.flatnonzero(reset[row, :end]), end]
        assert starts[0] == 0
        for start, stop in zip(starts[:-1], starts[1:], strict=True):
            target = None if y is None else tuple(y[row, start:stop].tolist())
            found.append((tuple(inputs[row, start:stop].tolist()), target))
    return collections.Counter(found)


def numbered(lengths):
    """Sequences in which no value occurs twice."""
    ends = np.cumsum(lengths)
    return [np.arange(e - n, e) + 1 for e, n in zip(ends, lengths, strict=True)]


CASES = dict(
    lengths=st.lists(st.integers(2, 40), min_size=1, max_size=25),
    data=st.data(),
    window=st.integers(1, 17),
    shuffle=st.booleans(),
)


def drawn(lengths, data, window, shuffle, **more):
    batch_size = data.draw(st.integers(1, len(lengths)))
    return bk.data.pack(
        numbered(lengths),
        batch_size=batch_size,
        window=window,
        shuffle=shuffle,
        **more,
    )


@settings(max_examples=20, deadline=None)
@given(**CASES)
def test_every_timestep_occurs_once_with_its_successor(lengths, data, window, shuffle):
    dataset = drawn(lengths, data, window, shuffle)
    expected = collections.Counter(
        (tuple(s[:-1].tolist()), tuple(s[1:].tolist())) for s in numbered(lengths)
    )
    for _ in range(2):
        assert unpacked(collect(dataset)) == expected


@settings(max_examples=20, deadline=None)
@given(**CASES)
def test_explicit_targets_stay_with_their_timesteps(lengths, data, window, shuffle):
    targets = [s * 1000 for s in numbered(lengths)]
    dataset = drawn(lengths, data, window, shuffle, targets=targets)
    expected = collections.Counter(
        (tuple(s.tolist()), tuple((s * 1000).tolist())) for s in numbered(lengths)
    )
    assert unpacked(collect(dataset)) == expected


@settings(max_examples=20, deadline=None)
@given(**CASES)
def test_padding_is_only_at_the_end_of_streams(lengths, data, window, shuffle):
    inputs, reset, valid, y = rows_of(collect(drawn(lengths, data, window, shuffle)))
    assert not (valid[:, 1:] & ~valid[:, :-1]).any()
    assert not reset[~valid].any()
    assert not inputs[~valid].any() and not y[~valid].any()


@settings(max_examples=20, deadline=None)
@given(**CASES)
def test_the_fill_rate_is_the_counted_one(lengths, data, window, shuffle):
    dataset = drawn(lengths, data, window, shuffle)
    for _ in range(2):
        assert dataset.fill_rate == rows_of(collect(dataset))[2].mean()


@settings(max_examples=20, deadline=None)
@given(**CASES)
def test_positions_continue_and_the_length_is_known(lengths, data, window, shuffle):
    dataset = drawn(lengths, data, window, shuffle)
    batches = collect(dataset)
    assert len(batches) == len(dataset)
    for index, (x, _) in enumerate(batches):
        assert x["inputs"].shape[1] == window
        assert (x["position"] == index * window).all()


def test_a_dataset_without_padding_has_no_mask():
    full = bk.data.pack(numbered([9, 9, 5, 5]), batch_size=2, window=5)
    assert full.fill_rate < 1 and "mask" in full.element_spec[0]
    full = bk.data.pack(numbered([9, 9, 5, 5]), batch_size=2, window=4)
    assert full.fill_rate == 1 and "mask" not in full.element_spec[0]


def order_of(batches):
    inputs, reset, valid, _ = rows_of(batches)
    return inputs[reset & valid].tolist()


def test_a_seed_fixes_the_orders_and_each_pass_has_its_own():
    def passes(**more):
        dataset = bk.data.pack(
            numbered([5] * 30), batch_size=3, window=4, targets=None, **more
        )
        return [order_of(collect(dataset)) for _ in range(3)]

    first = passes(seed=1)
    assert first == passes(seed=1)
    assert first[0] != first[1] != first[2] != first[0]
    assert first != passes(seed=2)


def test_keras_seed_fixes_the_orders():
    def order():
        keras.utils.set_random_seed(3)
        return order_of(collect(bk.data.pack(numbered([4] * 20), **small)))

    small = dict(batch_size=2, window=5)
    assert order() == order()


def test_without_shuffling_each_pass_is_the_same_and_one_stream_keeps_the_order():
    dataset = bk.data.pack(
        numbered([3, 9, 2, 7]), batch_size=1, window=4, targets=None, shuffle=False
    )
    for _ in range(2):
        inputs, _, valid, _ = rows_of(collect(dataset))
        assert inputs[valid].tolist() == list(range(1, 22))


@pytest.mark.parametrize("kind", ["list", "tuple", "generator", "lists", "ragged"])
@pytest.mark.parametrize("rest", [(), (2,), (2, 3)])
@pytest.mark.quick(5)
def test_every_kind_of_list_gives_the_same_batches(kind, rest):
    arrays = [np.random.normal(size=(n, *rest)).astype("float32") for n in (5, 2, 7)]
    offset = np.concatenate(arrays)
    sequences = {
        "list": arrays,
        "tuple": tuple(arrays),
        "generator": (a for a in arrays),
        "lists": [a.tolist() for a in arrays],
        "ragged": tf.RaggedTensor.from_row_lengths(offset, [5, 2, 7]),
    }[kind]
    options = dict(batch_size=2, window=3, shuffle=False)
    expected = collect(bk.data.pack(arrays, **options))
    received = collect(bk.data.pack(sequences, **options))
    tf.nest.map_structure(np.testing.assert_array_equal, received, expected)
    assert received[0][0]["inputs"].dtype == "float32"


def test_a_ragged_constant_with_even_timesteps_is_understood():
    nested = [[[1, 2], [3, 4], [5, 6]], [[7, 8], [9, 10]]]
    ragged = tf.ragged.constant(nested)
    assert ragged.ragged_rank == 2
    (batch,) = collect(bk.data.pack(ragged, batch_size=2, window=2, shuffle=False))
    assert batch[0]["inputs"].tolist() == [[[1, 2], [3, 4]], [[7, 8], [0, 0]]]


def test_structures_are_kept():
    sequences = [
        {"ids": np.arange(n), "more": (np.arange(2.0 * n)).reshape(n, 2)}
        for n in (4, 3, 6)
    ]
    targets = [(s["ids"] * 2, s["ids"] * 3) for s in sequences]
    dataset = bk.data.pack(sequences, batch_size=2, window=4, targets=targets)
    for x, (twice, thrice) in collect(dataset):
        ids, more = x["inputs"]["ids"], x["inputs"]["more"]
        np.testing.assert_array_equal(more[..., 0], ids * 2)
        np.testing.assert_array_equal(twice, ids * 2)
        np.testing.assert_array_equal(thrice, ids * 3)
        assert more.dtype == keras.config.floatx()


def test_targets_follow_in_every_array_of_a_structure():
    sequences = [(np.arange(4), np.arange(4) + 10)]
    ((x, y),) = collect(bk.data.pack(sequences, batch_size=1, window=3))
    assert [a.tolist() for a in x["inputs"]] == [[[0, 1, 2]], [[10, 11, 12]]]
    assert [a.tolist() for a in y] == [[[1, 2, 3]], [[11, 12, 13]]]


def test_sequences_are_not_copied(tmp_path):
    np.save(tmp_path / "a.npy", np.arange(6.0))
    mapped = np.load(tmp_path / "a.npy", mmap_mode="r")
    arrays = [mapped, np.arange(4.0)]
    (column,) = Sequences(arrays).columns
    for array, kept in zip(arrays, column, strict=True):
        assert np.shares_memory(array, kept)


def test_memory_does_not_grow_with_the_sequences():
    # 400 MB that are not there: all timesteps are one and the same.
    endless = np.broadcast_to(np.uint8(1), (100_000_000,))
    tracemalloc.start()
    dataset = bk.data.pack([endless] * 4, batch_size=2, window=64)
    next(iter(dataset))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 20e6


def test_flags_inside_windows_restart_a_model():
    trainer = counting_trainer()
    lengths = [6, 3, 5, 2]
    packed = bk.data.pack(
        [np.ones((n, 1)) for n in lengths],
        batch_size=2,
        window=4,
        targets=[np.zeros((n, 3)) for n in lengths],
    )
    counts = np.concatenate([np.arange(1, n + 1) for n in lengths])
    assert packed.fill_rate == 1
    assert trainer.evaluate(packed, verbose=0) == pytest.approx(counts.mean())
    history = trainer.fit(packed, epochs=2, verbose=0).history
    assert history["loss"] == pytest.approx([counts.mean()] * 2)


NAN = np.array([1.0, np.nan])
BAD = {
    "none": (dict(sequences=[]), ValueError, "at least one sequence"),
    "a dict": (dict(sequences={"a": [1]}), TypeError, "one dict for each sequence"),
    "text": (dict(sequences="abc"), TypeError, "list of sequences"),
    "one series": (dict(sequences=np.arange(9)), ValueError, "list of one sequence"),
    "words": (dict(sequences=[["a", "b"]] * 2), TypeError, "Turn text into ids"),
    "an empty one": (dict(sequences=[[1, 2], []]), ValueError, "number 1. Leave them"),
    "a single step": (dict(sequences=[[1, 2], [1]]), ValueError, "at least 2 timest"),
    "NaN": (dict(sequences=[[1.0, 2.0], NAN]), ValueError, "infinity in number 1"),
    "NaN targets": (
        dict(sequences=[[1, 2]] * 2, targets=[[1.0, 2.0], NAN]),
        ValueError,
        "`targets` must be finite",
    ),
    "dtypes": (dict(sequences=[[1, 2], [1.0, 2.0]]), ValueError, "one dtype"),
    "widths": (
        dict(sequences=[np.ones((3, 2)), np.ones((3, 4))]),
        ValueError,
        "number 1 has the shape",
    ),
    "ranks": (
        dict(sequences=[np.ones((3, 2)), np.ones(3)]),
        ValueError,
        "number 1 has the shape",
    ),
    "uneven timesteps": (
        dict(sequences=[[[1], [1, 2]]] * 2),
        ValueError,
        "timesteps of different shapes",
    ),
    "ragged timesteps": (
        dict(sequences=tf.ragged.constant([[[1], [1, 2]]] * 2)),
        ValueError,
        "Only the time axis",
    ),
    "structures": (
        dict(sequences=[{"a": [1, 2]}, {"b": [1, 2]}]),
        ValueError,
        "one structure",
    ),
    "lengths inside one": (
        dict(sequences=[([1, 2], [1, 2]), ([1, 2], [1, 2, 3])]),
        ValueError,
        "arrays of 2 and 3 timesteps in number 1",
    ),
    "too many streams": (dict(batch_size=3), ValueError, "batch_size=3 for 2"),
    "a batch size of 0": (dict(batch_size=0), ValueError, "`batch_size` must be"),
    "a window of 2.0": (dict(window=2.0), TypeError, "`window` must be an integer"),
    "other targets": (dict(targets="last"), ValueError, "'next', None or a list"),
    "few targets": (dict(targets=[[1, 2, 3]]), ValueError, "one array for each"),
    "short targets": (
        dict(targets=[[1, 2, 3], [1]]),
        ValueError,
        "1 for sequence 1, which has 3",
    ),
    "a seed for no order": (dict(shuffle=False, seed=1), ValueError, "no effect"),
    "shuffle as text": (dict(shuffle="no"), TypeError, "True or False"),
    "a seed of 1.5": (dict(seed=1.5), TypeError, "`seed` must be an integer"),
    "a negative seed": (dict(seed=-1), ValueError, "must not be negative"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_refused(case):
    arguments, error, message = BAD[case]
    options = {"sequences": [[1, 2, 3], [4, 5, 6]], "batch_size": 2, "window": 5}
    options |= arguments
    with pytest.raises(error, match=message):
        bk.data.pack(options.pop("sequences"), **options)


def test_float_widths_may_be_mixed():
    sequences = [np.ones(3, "float32"), np.ones(4, "float64")]
    dataset = bk.data.pack(sequences, batch_size=2, window=2)
    assert dataset.element_spec[0]["inputs"].dtype == keras.config.floatx()


@pytest.mark.parametrize(("batch_size", "window"), [(8, 64), (16, 32), (32, 16)])
def test_real_chorales_fill_more_than_95_percent(shared_data, batch_size, window):
    path = shared_data / "jsb_chorales" / "Jsb16thSeparated.json"
    pieces = json.loads(path.read_text())["train"]
    dataset = bk.data.pack(pieces, batch_size=batch_size, window=window)
    assert dataset.fill_rate > 0.95
    lengths = np.array([len(piece) for piece in pieces])
    assert lengths.mean() / lengths.max() < 0.5  # what padding each would fill
