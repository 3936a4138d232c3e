"""Streams have nearly equal lengths, which a new order keeps."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bptt_keras.data.balance import balanced, redrawn

LENGTHS = st.lists(st.integers(1, 60), min_size=1, max_size=40)


def loads(streams, steps):
    return [int(steps[stream].sum()) for stream in streams]


@settings(max_examples=200, deadline=None)
@given(lengths=LENGTHS, data=st.data(), window=st.integers(1, 20))
def test_each_sequence_is_in_one_stream_and_no_stream_is_empty(lengths, data, window):
    steps = np.array(lengths)
    count = data.draw(st.integers(1, len(steps)))
    streams = balanced(steps, count, window)
    assert len(streams) == count and all(len(stream) for stream in streams)
    assert sorted(np.concatenate(streams).tolist()) == list(range(len(steps)))


@settings(max_examples=200, deadline=None)
@given(lengths=LENGTHS, data=st.data())
def test_the_longest_stream_stays_within_grahams_bound(lengths, data):
    steps = np.array(lengths)
    count = data.draw(st.integers(1, len(steps)))
    longest = max(loads(balanced(steps, count, 1), steps))
    # Any list schedule: the mean, and the last sequence that was put on top.
    assert longest <= steps.sum() / count + steps.max() * (1 - 1 / count)


@settings(max_examples=200, deadline=None)
@given(lengths=LENGTHS, data=st.data(), seed=st.integers(0, 1000))
def test_a_new_order_keeps_the_lengths_of_the_streams(lengths, data, seed):
    steps = np.array(lengths)
    streams = balanced(steps, data.draw(st.integers(1, len(steps))), 1)
    drawn = redrawn(streams, steps, np.random.default_rng(seed))
    assert sorted(np.concatenate(drawn).tolist()) == list(range(len(steps)))
    before = sorted(sorted(steps[stream].tolist()) for stream in streams)
    assert sorted(sorted(steps[stream].tolist()) for stream in drawn) == before


def test_exchanges_even_out_the_first_assignment():
    # The classic worst case of "longest first": 11 instead of 9.
    steps = np.array([5, 5, 4, 4, 3, 3, 3])
    assert loads(balanced(steps, 3, 1), steps) == [9, 9, 9]


def test_any_order_of_equal_sequences_can_be_drawn():
    steps = np.full(3, 4)
    streams = balanced(steps, 1, 1)
    generator = np.random.default_rng(0)
    orders = {tuple(redrawn(streams, steps, generator)[0]) for _ in range(100)}
    assert len(orders) == 6


@pytest.mark.parametrize("count", [8, 16, 32])
def test_chorales_need_no_more_windows_than_their_average(shared_data, count):
    path = shared_data / "jsb_chorales" / "jsb-chorales-quarter.json"
    steps = np.array([len(piece) for piece in json.loads(path.read_text())["train"]])
    longest = max(loads(balanced(steps, count, 16), steps))
    assert -(-longest // 16) == -(-steps.sum() // (count * 16))
