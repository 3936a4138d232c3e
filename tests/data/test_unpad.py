"""Padded outputs are cut back into sequences, in their order."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import bptt_keras as bk


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 9), min_size=1, max_size=9), st.integers(0, 3))
def test_padding_and_cutting_gives_back_each_sequence(lengths, extra):
    rows = [np.random.normal(size=(n, 2)) for n in lengths]
    padded = np.full((len(rows), max(lengths) + extra, 2), np.nan)
    for place, row in zip(padded, rows, strict=True):
        place[: len(row)] = row
    for given_as in (padded, tf.constant(padded)):
        cut = bk.data.unpad(given_as, lengths)
        assert len(cut) == len(rows)
        for received, row in zip(cut, rows, strict=True):
            np.testing.assert_array_equal(received, row)


def test_ragged_outputs_are_cut_to_the_lengths():
    ragged = tf.RaggedTensor.from_row_lengths(np.arange(14).reshape(7, 2), [4, 3])
    first, second = bk.data.unpad(ragged, [3, 1])
    assert first.tolist() == [[0, 1], [2, 3], [4, 5]]
    assert second.tolist() == [[8, 9]]


def test_structures_of_outputs_are_kept():
    padded = np.arange(6).reshape(2, 3)
    cut = bk.data.unpad({"a": padded, "b": (padded, padded * 2)}, [1, 2])
    assert [row.tolist() for row in cut["a"]] == [[0], [3, 4]]
    assert [row.tolist() for row in cut["b"][1]] == [[0], [6, 8]]


@pytest.mark.parametrize("lengths", [[1], [1, 2, 3], [1, 4], [-1, 2], 3])
def test_mismatched_lengths_are_refused(lengths):
    with pytest.raises(ValueError, match="one number for each row"):
        bk.data.unpad(np.zeros((2, 3)), lengths)


def test_outputs_without_time_are_refused():
    with pytest.raises(ValueError, match=r"shape \(n, time"):
        bk.data.unpad(np.zeros(2), [1, 2])
