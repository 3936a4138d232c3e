"""One long series as streams: batch i+1 continues batch i, whatever `fit` does."""

import keras
import numpy as np
import pytest
import tensorflow as tf

import bptt_keras as bk
from tests.test_state import SummingCell
from tests.training.references import model_of
from tests.training.test_trainer import trainer_of


def collect(dataset):
    return [tf.nest.map_structure(lambda t: t.numpy(), batch) for batch in dataset]


@pytest.mark.parametrize(("n", "batch_size", "window"), [(101, 4, 5), (50, 3, 7)])
def test_batches_continue_each_stream_and_cover_it(n, batch_size, window):
    batches = collect(
        bk.data.streams(np.arange(n), batch_size=batch_size, window=window)
    )
    length = (n - 1) // batch_size
    inputs = np.concatenate([x["inputs"] for x, _ in batches], axis=1)
    targets = np.concatenate([y for _, y in batches], axis=1)
    expected = np.arange(batch_size * length).reshape(batch_size, length)
    np.testing.assert_array_equal(inputs, expected)
    np.testing.assert_array_equal(targets, expected + 1)
    resets = [x["reset"].all() for x, _ in batches]
    assert resets == [True] + [False] * (len(batches) - 1)
    positions = [x["position"].tolist() for x, _ in batches]
    assert positions == [[i * window] * batch_size for i in range(len(batches))]


def test_the_length_is_known():
    dataset = bk.data.streams(np.arange(101), batch_size=4, window=7)
    assert len(dataset) == 4


@pytest.mark.parametrize("source", ["array", "list", "memmap", "path", "iterator"])
@pytest.mark.parametrize("dtype", ["int64", "uint8", "float64"])
def test_every_source_gives_the_same_streams(tmp_path, source, dtype):
    series = (np.arange(60) % 250).astype(dtype).reshape(30, 2)
    path = tmp_path / "series.npy"
    np.save(path, series)
    given = {
        "array": series,
        "list": series.tolist() if dtype != "uint8" else series,
        "memmap": np.load(path, mmap_mode="r"),
        "path": str(path),
        "iterator": iter([series[:11], series[11:12], series[12:]]),
    }[source]
    batches = collect(bk.data.streams(given, batch_size=2, window=4))
    inputs = np.concatenate([x["inputs"] for x, _ in batches], axis=1)
    np.testing.assert_array_equal(inputs, series[:28].reshape(2, 14, 2))
    assert inputs.dtype == ("float32" if dtype == "float64" else dtype)


def test_an_iterator_leaves_no_file_behind(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    dataset = bk.data.streams(iter([np.arange(100)]), batch_size=2, window=4)
    assert list(tmp_path.iterdir()) == []
    assert len(collect(dataset)) == 13


def test_a_failing_iterator_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def chunks():
        yield np.arange(5)
        raise OSError("gone")

    with pytest.raises(OSError, match="gone"):
        bk.data.streams(chunks(), batch_size=1, window=2)
    assert list(tmp_path.iterdir()) == []


def test_targets_may_be_given_or_absent():
    series = np.arange(20.0)
    batches = collect(
        bk.data.streams(series, batch_size=2, window=5, targets=series * 10)
    )
    for x, y in batches:
        np.testing.assert_array_equal(y, x["inputs"] * 10)
    (first, *_) = collect(bk.data.streams(series, batch_size=2, window=5, targets=None))
    assert len(first) == 1 and first[0]["inputs"].shape == (2, 5)


@pytest.mark.parametrize("kind", [dict, tuple])
def test_series_side_by_side_are_cut_alike(tmp_path, kind):
    ids, more = np.arange(30), np.arange(60.0).reshape(30, 2)
    np.save(tmp_path / "more.npy", more)
    parts = {"a": ids, "b": str(tmp_path / "more.npy")}
    series = parts if kind is dict else tuple(parts.values())
    options = dict(batch_size=2, window=4)
    alone = [collect(bk.data.streams(part, **options)) for part in (ids, more)]
    for (x, y), *expected in zip(
        collect(bk.data.streams(series, **options)), *alone, strict=True
    ):
        assert isinstance(x["inputs"], kind)
        for part, whole in ((x["inputs"], "x"), (y, "y")):
            for received, (wanted_x, wanted_y) in zip(
                tf.nest.flatten(part), expected, strict=True
            ):
                wanted = wanted_x["inputs"] if whole == "x" else wanted_y
                np.testing.assert_array_equal(received, wanted)


def test_targets_side_by_side_come_by_name():
    series = np.arange(20)
    targets = {"a": series * 2, "b": series * 3.0}
    stream = bk.data.streams(series, batch_size=2, window=5, targets=targets)
    for x, y in collect(stream):
        np.testing.assert_array_equal(y["a"], x["inputs"] * 2)
        np.testing.assert_array_equal(y["b"], x["inputs"] * 3)


def test_a_tuple_of_numbers_is_one_series():
    (first, *_) = collect(bk.data.streams((1, 2, 3, 4, 5), batch_size=1, window=2))
    assert first[0]["inputs"].tolist() == [[1, 2]]


BAD = {
    "a batch size of 0": (dict(batch_size=0), ValueError, "`batch_size` must be"),
    "a window of 0": (dict(window=0), ValueError, "`window` must be"),
    "a window of 1.5": (dict(window=1.5), TypeError, "`window` must be an integer"),
    "a short series": (dict(series=np.arange(9)), ValueError, "need 11"),
    "text": (dict(series="no such file.npy"), FileNotFoundError, "no such file"),
    "characters": (dict(series=np.array(["a"])), TypeError, "Turn text into ids"),
    "a scalar": (dict(series=np.array(3)), ValueError, r"shape \(n,\)"),
    "short targets": (dict(targets=np.arange(3)), ValueError, "one target for each"),
    "other targets": (dict(targets="last"), ValueError, "'next', None or an array"),
    "parts of two lengths": (
        dict(series={"a": np.arange(40), "b": np.arange(39)}),
        ValueError,
        r"one length. Received: \[40, 39\]",
    ),
    "a part of text": (
        dict(series={"a": np.array(["a"] * 40)}),
        TypeError,
        r"`series\['a'\]` must hold",
    ),
    "an empty iterator": (dict(series=iter([])), ValueError, "must not be empty"),
    "uneven chunks": (
        dict(series=iter([np.zeros((3, 2)), np.zeros((3, 1))])),
        ValueError,
        "one dtype and one shape",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_arguments_are_refused(case):
    arguments, error, message = BAD[case]
    given = {"series": np.arange(40), "batch_size": 2, "window": 5} | arguments
    with pytest.raises(error, match=message):
        bk.data.streams(given.pop("series"), **given)


def counting_trainer():
    model = keras.Sequential(
        [
            keras.Input((None, 1)),
            keras.layers.RNN(SummingCell(), return_sequences=True),
            keras.layers.Dense(3, kernel_initializer="identity", trainable=True),
        ]
    )
    trainer = bk.TruncatedBPTT(model, window=4, shards=1)
    # The loss is the count that the state has reached: its sum tells what was reset.
    trainer.compile(
        keras.optimizers.SGD(0.0),
        loss=lambda y_true, y_pred: y_pred[..., 1],
        jit_compile=False,
    )
    return trainer


def test_an_epoch_boundary_resets():
    trainer = counting_trainer()
    stream = bk.data.streams(np.ones((25, 1)), batch_size=2, window=4)
    losses = trainer.fit(stream, epochs=3, verbose=0).history["loss"]
    assert losses == pytest.approx([6.5] * 3)  # counts 1 to 12


def test_steps_per_epoch_continues_the_stream():
    trainer = counting_trainer()
    stream = bk.data.streams(np.ones((25, 1)), batch_size=2, window=4).repeat()
    history = trainer.fit(stream, epochs=4, steps_per_epoch=2, verbose=0).history
    # Counts 1-8, 9-12 and, after the pass, 1-4, then 5-12, then 1-8 again.
    assert history["loss"] == pytest.approx([4.5, (42 + 10) / 8, 8.5, 4.5])


def test_validation_on_a_stream_does_not_disturb_training():
    trainer = counting_trainer()
    stream = bk.data.streams(np.ones((25, 1)), batch_size=2, window=4)
    other = bk.data.streams(np.ones((21, 1)), batch_size=1, window=4)
    history = trainer.fit(stream, validation_data=other, epochs=2, verbose=0).history
    assert history["loss"] == pytest.approx([6.5] * 2)
    assert history["val_loss"] == pytest.approx([10.5] * 2)


@pytest.mark.parametrize("window", [pytest.param(8, marks=pytest.mark.slow), 12])
def test_a_batch_may_have_several_windows(window):
    # The trainer's window is 4. Flags of rows hold at the start of a batch only.
    trainer = counting_trainer()
    stream = bk.data.streams(np.ones((25, 1)), batch_size=2, window=window)
    assert trainer.fit(stream, verbose=0).history["loss"] == pytest.approx([6.5])
    assert trainer.evaluate(stream, verbose=0) == pytest.approx(6.5)
    counts = [trainer.predict_on_batch(x)[0, :, 1] for x, _ in stream]
    assert np.concatenate(counts).tolist() == list(range(1, 13))


def test_a_stream_of_shorter_windows_than_the_trainers_warns():
    stream = bk.data.streams(np.zeros((41, 3)), batch_size=2, window=5)
    trainer = trainer_of(model_of(bk.layers.LSTM, outputs=3), 8)
    with pytest.warns(UserWarning, match="gradients never reach the 8"):
        trainer.fit(stream, verbose=0)
