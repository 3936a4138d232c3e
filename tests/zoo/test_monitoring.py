import csv
import json
import math

import pytest

from zoo import monitoring
from zoo.monitoring import KeepBest, Meter, Recorder


@pytest.fixture
def clock(monkeypatch):
    """A clock that the test sets."""
    now = [0.0]
    monkeypatch.setattr(monitoring.time, "perf_counter", lambda: now[0])
    return now


def test_meter_counts_no_compilation_and_no_validation(clock):
    meter = Meter(streams=2, window=10, length=25)
    rates = []
    for epoch in range(2):
        meter.on_epoch_begin(epoch)
        # Three batches, the first of all with 50 s of compilation; the last is short.
        for batch in range(3):
            clock[0] += 50.0 if (epoch, batch) == (0, 0) else 1.0
            logs = {"loss": 1.0}
            meter.on_train_batch_end(batch, logs)
            rates.append(logs["tokens/s"])
        clock[0] += 1000.0
        logs = {"loss": 1.0, "val_loss": 2.0}
        meter.on_epoch_end(epoch, logs)
        rates.append(logs["tokens/s"])
    assert rates == [0, 20, 15, 15, 20, 20, 17, 17]


def test_meter_adds_bits_per_character(clock):
    meter = Meter(streams=2, window=10, length=25)
    meter.on_epoch_begin(0)
    logs = {"loss": math.log(2)}
    meter.on_train_batch_end(0, logs)
    assert logs["bpc"] == pytest.approx(1.0)
    logs = {"loss": math.log(2), "val_loss": math.log(8)}
    meter.on_epoch_end(0, logs)
    assert logs["val_bpc"] == pytest.approx(3.0)


def test_recorder_writes_both_histories_after_each_epoch(tmp_path):
    recorder = Recorder(tmp_path)
    for epoch in range(2):
        recorder.on_epoch_begin(epoch)
        recorder.on_epoch_end(epoch, {"loss": 2.0 - epoch, "val_loss": 3.0 - epoch})
        expected = {
            "epoch": [1, 2][: epoch + 1],
            "loss": [2.0, 1.0][: epoch + 1],
            "val_loss": [3.0, 2.0][: epoch + 1],
        }
        assert json.loads((tmp_path / "history.json").read_text()) == expected
    with open(tmp_path / "history.csv", newline="") as file:
        assert list(csv.reader(file)) == [
            ["epoch", "loss", "val_loss"],
            ["1", "2.0", "3.0"],
            ["2", "1.0", "2.0"],
        ]


def test_recorder_finds_the_norm_of_each_update_from_running_means(tmp_path):
    recorder = Recorder(tmp_path)
    norms = [1.0, 3.0, 0.5, 2.0]
    for epoch in range(2):
        recorder.on_epoch_begin(epoch)
        for batch in range(4):
            mean = sum(norms[: batch + 1]) / (batch + 1)
            recorder.on_train_batch_end(batch, {"grad_norm": mean})
    assert recorder.grad_norms == pytest.approx(norms * 2)


def test_history_with_a_loss_that_is_no_number_is_still_json(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.on_epoch_begin(0)
    recorder.on_epoch_end(0, {"loss": float("nan")})
    text = (tmp_path / "history.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["loss"] == [None]


def test_best_epochs_alone_are_kept():
    kept = []
    best = KeepBest(lambda epoch, val_loss: kept.append((epoch, val_loss)))
    for epoch, val_loss in enumerate([3.0, 2.0, 2.5, float("nan"), 2.0, 1.0]):
        best.on_epoch_end(epoch, {"val_loss": val_loss})
    assert kept == [(1, 3.0), (2, 2.0), (6, 1.0)]
