"""The state that a batch passes to the next: by flag, key or snapshot, with noise."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from tests.training.references import (
    assert_same_weights,
    clone,
    model_of,
    series,
    train_whole,
)

pytestmark = pytest.mark.both_ways


class CountingCell(keras.layers.Layer):
    """The state is the sum of the inputs since the last reset, and so is the output."""

    state_size = output_size = 1

    def build(self, shape):
        self.scale = self.add_weight(shape=(), initializer="ones")

    def get_initial_state(self, batch_size=None):
        return [tf.zeros((batch_size, 1))]

    def call(self, inputs, states):
        total = states[0] + self.scale * inputs
        return total, [total]


def counter(window=4, **options):
    model = keras.Sequential(
        [
            keras.Input((None, 1)),
            keras.layers.RNN(CountingCell(), return_sequences=True, name="rnn"),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window, shards=1, **options)
    # A rate of 0: the weights stay, the states tell.
    trainer.compile(keras.optimizers.SGD(0.0), "mse", jit_compile=False)
    return trainer


def counts(trainer, **parts):
    """Sums that a batch of ones ends with, by prediction."""
    length = 5
    rows = len(next(iter(parts.values())))
    x = {"inputs": np.ones((rows, length, 1), "float32"), **parts}
    return np.asarray(trainer.predict_on_batch(x))[..., 0]


@pytest.mark.parametrize("kind", [int, str])
def test_a_row_starts_from_the_initial_state_when_its_key_changes(kind):
    trainer = counter()

    def ends(*keys):
        keys = np.array([f"s{k}" if kind is str else k for k in keys])
        return counts(trainer, key=keys)[:, -1].tolist()

    assert ends(1, 2, 3) == [5, 5, 5]
    assert ends(1, 7, 3) == [10, 5, 10]
    assert ends(1, 7, 4) == [15, 10, 5]
    assert ends(7, 7, 4) == [5, 15, 10]


def test_a_key_may_change_inside_a_batch():
    trainer = counter()
    key = np.array([[1, 1, 2, 2, 2], [3, 3, 3, 3, 3]])
    assert counts(trainer, key=key).tolist() == [[1, 2, 1, 2, 3], [1, 2, 3, 4, 5]]
    key = np.array([[2, 2, 2, 2, 2], [4, 3, 3, 3, 3]])
    assert counts(trainer, key=key).tolist() == [[4, 5, 6, 7, 8], [1, 1, 2, 3, 4]]


def test_key_and_reset_both_reset_a_row():
    trainer = counter()
    key = np.array([1, 2, 3])
    counts(trainer, key=key, reset=np.array([True, True, True]))
    after = counts(
        trainer, key=np.array([1, 9, 3]), reset=np.array([False, False, True])
    )
    assert after[:, -1].tolist() == [10, 5, 5]


def test_keys_that_are_neither_integers_nor_strings_are_refused():
    with pytest.raises(TypeError, match="`key` must hold integers or strings"):
        counts(counter(), key=np.array([0.5, 1.0]))


@pytest.mark.parametrize("name", ["lengths", "mask"])
def test_steps_without_input_keep_the_state(name):
    trainer = counter()
    lengths = np.array([5, 2, 0])
    mask = np.arange(5)[None] < lengths[:, None]
    given = {"lengths": lengths, "mask": mask}[name]
    outputs = counts(trainer, **{name: given})
    assert outputs.tolist() == [[1, 2, 3, 4, 5], [1, 2, 2, 2, 2], [0, 0, 0, 0, 0]]


def test_lengths_and_mask_together_are_refused():
    mask = np.ones((2, 5), bool)
    with pytest.raises(ValueError, match="Received: both"):
        counts(counter(), mask=mask, lengths=np.array([5, 5]))


@pytest.mark.parametrize("name", ["lengths", "mask", "key", "reset"])
def test_parts_of_the_wrong_shape_are_refused(name):
    with pytest.raises(ValueError, match=f"`{name}` must have the shape"):
        counter().predict_on_batch(
            {"inputs": np.ones((2, 5, 1), "float32"), name: np.ones((3, 4), "int32")}
        )


@pytest.mark.slow
@pytest.mark.parametrize(
    "sequence_output", [True, pytest.param(False, marks=pytest.mark.slow)]
)
def test_padded_rows_train_as_if_they_were_alone(sequence_output):
    model = keras.Sequential(
        [
            keras.Input((None, 3)),
            bk.layers.LSTM(4, return_sequences=True),
            keras.layers.GRU(5, return_sequences=sequence_output),
            keras.layers.Dense(2),
        ]
    )
    x, y = series(3, 14)
    y = y if sequence_output else y[:, 0]
    lengths = np.array([14, 8, 3])
    total = lengths.sum() if sequence_output else 3
    expected = [0] * len(model.get_weights())
    for row, length in enumerate(lengths):
        alone = clone(model)
        one = slice(row, row + 1)
        target = y[one, :length] if sequence_output else y[one]
        train_whole(alone, x[one, :length], target)
        weight = (length if sequence_output else 1) / total
        changes = [
            weight * (new - old)
            for old, new in zip(model.get_weights(), alone.get_weights(), strict=True)
        ]
        expected = [a + b for a, b in zip(expected, changes, strict=True)]
        x[row, length:] = 1e3  # padding may hold anything
    trainer = bk.TruncatedBPTT(clone(model), 20)
    trainer.compile(keras.optimizers.SGD(0.1), "mse", jit_compile=False)
    trainer.train_on_batch({"inputs": x, "lengths": lengths}, y)
    for old, new, change in zip(
        model.get_weights(), trainer.model.get_weights(), expected, strict=True
    ):
        np.testing.assert_allclose(new - old, change, atol=1e-6)


def stream_trainer(seed=1, **options):
    keras.utils.set_random_seed(seed)
    # Snapshots tell layers by their names.
    model = model_of(bk.layers.LSTM, name="lstm")
    trainer = bk.TruncatedBPTT(model, 6, shards=1, **options)
    trainer.compile(keras.optimizers.SGD(0.3), "mse", jit_compile=False)
    return trainer


def batches_of(x, y, size=4):
    for start in range(0, x.shape[1], size):
        part = slice(start, start + size)
        flags = np.full((len(x),), start == 0)
        yield {"inputs": x[:, part], "reset": flags}, y[:, part]


@pytest.mark.parametrize("stride", [None, pytest.param(2, marks=pytest.mark.slow)])
def test_training_resumes_from_a_snapshot(stride):
    x, y = series(3, 16)
    whole, second = (stream_trainer(seed, stride=stride) for seed in (1, 5))
    batches = list(batches_of(x, y))
    for batch in batches[:2]:
        whole.train_on_batch(*batch)
    snapshot = whole.snapshot_state()
    second.model.set_weights(whole.model.get_weights())
    second.restore_state(snapshot)
    for batch in batches[2:]:
        whole.train_on_batch(*batch)
        second.train_on_batch(*batch)
    assert_same_weights(whole.model, second.model)


@pytest.mark.slow
def test_fit_resumes_from_a_snapshot():
    x, y = series(3, 16)
    whole, cut = stream_trainer(), stream_trainer()
    batches = list(batches_of(x, y))
    for batch in batches:
        whole.train_on_batch(*batch)
    for batch in batches[:2]:
        cut.train_on_batch(*batch)
    cut.restore_state(cut.snapshot_state())
    cut.fit((batch for batch in batches[2:]), verbose=0)
    assert_same_weights(whole.model, cut.model)


def test_a_snapshot_of_another_model_is_refused():
    x, y = series(3, 8)
    small = stream_trainer()
    small.train_on_batch(*next(batches_of(x, y)))
    other = bk.TruncatedBPTT(model_of(bk.layers.GRU), 6, shards=1)
    other.compile(keras.optimizers.SGD(0.3), "mse", jit_compile=False)
    other.train_on_batch(*next(batches_of(x, y)))
    with pytest.raises(ValueError, match="A snapshot of the state fits"):
        other.restore_state(small.snapshot_state())


def test_state_dropout_zeroes_carried_units_only_between_windows():
    keras.utils.set_random_seed(3)
    trainer = counter(window=2, state_dropout=0.5)
    x = np.ones((200, 4, 1), "float32")
    trainer.train_on_batch({"inputs": x, "reset": np.full(200, True)}, x)
    kept = trainer.snapshot_state()["state"]["rnn"]
    state = kept["state_0"]
    # Window 1 hands on 0 or 4; window 2 makes 2 or 6 of them, and hands on 0 or twice.
    values, how_often = np.unique(state, return_counts=True)
    assert set(values) == {0.0, 4.0, 12.0}
    assert 60 < how_often[0] < 140
    assert counts(trainer, lengths=np.array([5, 5]))[:, -1].tolist() == [5, 5]


def test_state_noise_has_its_standard_deviation():
    trainer = counter(window=5, state_noise=0.5)
    x = np.ones((2000, 5, 1), "float32")
    trainer.train_on_batch({"inputs": x, "reset": np.full(2000, True)}, x)
    state = trainer.snapshot_state()["state"]["rnn"]["state_0"]
    assert abs(state.mean() - 5) < 0.06
    assert abs(state.std() - 0.5) < 0.03


@pytest.mark.parametrize(
    "options", [{"state_noise": -1}, {"state_dropout": 1.0}, {"state_dropout": "x"}]
)
def test_noise_out_of_bounds_is_refused(options):
    with pytest.raises((ValueError, TypeError), match="`state_"):
        counter(**options)
