"""`carried_state` on a state that is known to help, and one that is known to harm."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from bptt_keras.diagnostics import CarriedState, carried_state


def running_sum():
    """A state that adds up its inputs, put out as it is."""
    layer = bk.layers.SimpleRNN(
        1,
        activation="linear",
        use_bias=False,
        kernel_initializer="ones",
        recurrent_initializer="ones",
        return_sequences=True,
    )
    return keras.Sequential([keras.layers.Input((None, 1)), layer])


def sums(*, continue_, batches=6, rows=8, steps=10, reset=None):
    """Batches whose targets are sums: from the first batch on, or of each its own."""
    rng = np.random.default_rng(3)
    x = rng.normal(size=(batches, rows, steps, 1)).astype("float32")
    before = np.zeros((rows, 1), "float32")
    made = []
    for part in x:
        start = before if continue_ else np.zeros_like(before)
        y = start[:, None] + np.cumsum(part, axis=1)
        before = y[:, -1]
        flags = np.zeros(rows, bool) if reset is None else reset
        made.append(({"inputs": part, "reset": flags}, y))
    return made


def test_a_state_that_continues_helps():
    worth = carried_state(running_sum(), sums(continue_=True), loss="mse", steps=4)
    assert worth.carried.shape == (5 * 8, 4)
    np.testing.assert_allclose(worth.carried, 0, atol=1e-8)
    assert worth.gain > 1 and worth.certain
    assert worth.verdict().startswith("The carried state helps: over the first 4")


def test_a_state_of_another_sequence_harms():
    worth = carried_state(running_sum(), sums(continue_=False), loss="mse")
    np.testing.assert_allclose(worth.fresh, 0, atol=1e-8)
    assert worth.gain < -1 and worth.certain
    assert "flag the start of each sequence with `reset`" in worth.verdict()


def test_rows_that_are_reset_inherit_nothing_and_are_left_out():
    reset = np.array([True] * 3 + [False] * 5)
    batches = sums(continue_=True, reset=reset)
    worth = carried_state(running_sum(), batches, loss="mse")
    assert worth.carried.shape == (5 * 5, 10)
    np.testing.assert_allclose(worth.carried, 0, atol=1e-8)


def test_flags_inside_a_batch_reset_there():
    batches = sums(continue_=False, steps=6)
    for x, y in batches:
        x["reset"] = np.zeros((8, 6), bool)
        x["reset"][:, 3] = True
        y[:, 3:] -= y[:, 2:3]
    worth = carried_state(running_sum(), batches, loss="mse")
    np.testing.assert_allclose(worth.fresh, 0, atol=1e-8)
    np.testing.assert_allclose(worth.carried[:, 3:], 0, atol=1e-8)
    assert (worth.carried[:, :3] > 0).all()


def test_a_stream_has_its_borders():
    series = np.random.default_rng(0).normal(size=(80, 1)).astype("float32")
    targets = np.cumsum(series, axis=0)
    stream = bk.data.streams(series, batch_size=1, window=10, targets=targets)
    worth = carried_state(running_sum(), stream, loss="mse", steps=3)
    assert worth.carried.shape == (7, 3) and worth.continues
    np.testing.assert_allclose(worth.carried, 0, atol=1e-8)


def test_a_short_last_batch_is_left_out():
    series = np.random.default_rng(0).normal(size=(203, 1)).astype("float32")
    stream = bk.data.streams(series, batch_size=2, window=20)
    worth = carried_state(running_sum(), stream, loss="mse", steps=20)
    assert worth.carried.shape == (4 * 2, 20)


def test_few_samples_make_nothing_certain():
    worth = CarriedState(np.zeros((7, 3)), np.ones((7, 3)))
    assert not worth.certain
    assert worth.verdict().startswith("Too few rows and borders to tell (7)")


def test_only_the_given_number_of_borders_is_examined():
    worth = carried_state(running_sum(), sums(continue_=True), loss="mse", borders=2)
    assert len(worth.carried) == 2 * 8


def test_batches_that_start_from_the_initial_state_are_distinguished():
    batches = [(x["inputs"], y) for x, y in sums(continue_=True)]
    worth = carried_state(running_sum(), batches, loss="mse")
    assert not worth.continues
    assert "Batches start afresh, but a carried state would help" in worth.verdict()
    batches = [(x["inputs"], y) for x, y in sums(continue_=False)]
    worth = carried_state(running_sum(), batches, loss="mse")
    assert "Batches start afresh, as they should" in worth.verdict()


def test_chance_is_not_taken_for_a_difference():
    noise = np.random.default_rng(0).normal(size=(2, 30, 5))
    assert "no difference beyond chance" in CarriedState(*noise).verdict()
    # One sample has no spread.
    assert not CarriedState([[1.0]], [[2.0]]).certain


def end_alone():
    return keras.Sequential([keras.layers.Input((None, 1)), bk.layers.GRU(1)])


TWO = sums(continue_=True, batches=2)


@pytest.mark.parametrize(
    ("model", "batches", "error", "message"),
    [
        (running_sum, TWO[:1], ValueError, "two at least"),
        (running_sum, [], ValueError, "two at least"),
        (running_sum, TWO[0], TypeError, "in order. Received: tuple"),
        (running_sum, 3, TypeError, "Received: int"),
        (running_sum, [TWO[0][0]], ValueError, "x without y"),
        (running_sum, sums(continue_=True, reset=np.ones(8)), ValueError, "Every row"),
        (
            running_sum,
            [TWO[0], (TWO[1][0]["inputs"][:3], TWO[1][1][:3])],
            ValueError,
            "Received: 8 and 3",
        ),
        (
            running_sum,
            [({"inputs": x["inputs"], "key": np.arange(8)}, y) for x, y in TWO],
            ValueError,
            "with `key`",
        ),
        (
            running_sum,
            [({"inputs": x["inputs"], "lengths": np.full(8, 3)}, y) for x, y in TWO],
            ValueError,
            "with `mask` or `lengths`",
        ),
        (
            end_alone,
            [(x, y[:, 0]) for x, y in TWO],
            ValueError,
            "no time axis",
        ),
        (
            running_sum,
            tf.data.Dataset.from_tensors(TWO[0][0]),
            ValueError,
            "x without y",
        ),
    ],
)
def test_data_without_borders_is_refused(model, batches, error, message):
    with pytest.raises(error, match=message):
        carried_state(model(), batches, loss="mse")
