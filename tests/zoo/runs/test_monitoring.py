import csv
import json
import math

import pytest

from zoo.runs.monitoring import Derived, KeepBest, Patience, Recorder, is_improving
from zoo.tasks import TASKS
from zoo.tasks.task import Metric


def test_derived_numbers_are_in_the_logs():
    derived = Derived(TASKS["char-lm"].METRIC)
    logs = {"loss": math.log(2)}
    derived.on_train_batch_end(0, logs)
    assert logs["bpc"] == pytest.approx(1.0) and "val_bpc" not in logs
    logs = {"loss": math.log(2), "val_loss": math.log(8)}
    derived.on_epoch_end(0, logs)
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


def test_recorder_finds_the_norm_of_each_batch_from_running_means(tmp_path):
    recorder = Recorder(tmp_path)
    norms = [1.0, 3.0, 0.5, 2.0]
    for epoch in range(2):
        recorder.on_epoch_begin(epoch)
        for batch in range(4):
            mean = sum(norms[: batch + 1]) / (batch + 1)
            recorder.on_train_batch_end(batch, {"grad_norm": mean})
    assert recorder.grad_norms == pytest.approx(norms * 2)


def test_a_history_with_a_nan_loss_is_still_json(tmp_path):
    recorder = Recorder(tmp_path)
    recorder.on_epoch_begin(0)
    recorder.on_epoch_end(0, {"loss": float("nan")})
    text = (tmp_path / "history.json").read_text()
    assert json.loads(text, parse_constant=pytest.fail)["loss"] == [None]


@pytest.mark.parametrize(
    ("metric", "sign"),
    [
        (Metric("loss", "", factor=2.0), 1),
        (Metric("accuracy", "", log="acc", higher=True), -1),
    ],
)
def test_only_best_epochs_are_kept(metric, sign):
    kept = []
    best = KeepBest(metric, lambda epoch, value: kept.append((epoch, value)))
    for epoch, value in enumerate([3.0, 2.0, 2.5, float("nan"), 2.0, 1.0]):
        best.on_epoch_end(epoch, {f"val_{metric.log}": sign * value})
    # Of equals the later one.
    expected = [(1, 3.0), (2, 2.0), (5, 2.0), (6, 1.0)]
    assert kept == [(e, sign * metric.factor * v) for e, v in expected]


def test_the_first_number_is_the_best_so_far_and_nan_never_is():
    kept = []
    best = KeepBest(Metric("loss", ""), lambda epoch, value: kept.append(epoch))
    best.on_epoch_end(0, {"val_loss": float("nan")})
    best.on_epoch_end(1, {"val_loss": 5.0})
    assert kept == [2]


ACCURACY = Metric("accuracy", "", log="acc", higher=True)


def kept(epochs, **options):
    """Epochs that a `KeepBest` of accuracy saves, of pairs `(accuracy, loss)`."""
    saved = []
    best = KeepBest(ACCURACY, lambda epoch, value: saved.append(epoch), **options)
    for epoch, (accuracy, loss) in enumerate(epochs):
        best.on_epoch_end(epoch, {"val_acc": accuracy, "val_loss": loss})
    return saved


def test_among_epochs_of_equal_accuracy_the_lower_loss_wins():
    assert kept([(0.8, 0.5), (0.8, 0.6), (0.8, 0.1), (0.7, 0.0)]) == [1, 3]


def test_another_metric_can_choose_the_epoch():
    loss = Metric("loss", "")
    assert kept([(0.8, 0.5), (0.9, 0.6), (0.7, 0.1)], selection=loss) == [1, 3]


def test_without_a_selection_the_last_epoch_is_kept():
    assert kept([(0.8, 0.5), (0.9, 0.6), (0.7, 0.1)], selection=None) == [1, 2, 3]


def ends_after(patience, values, since=0):
    """Epoch after which a training with these validation losses ends."""
    keeper = KeepBest(Metric("loss", ""), lambda epoch, value: None)
    ending = Patience(patience, keeper, since=since)
    for epoch, value in enumerate(values):
        keeper.on_epoch_end(epoch, {"val_loss": value})
        if ending.is_used_up(epoch + 1):
            return epoch + 1
    return None


def test_patience_ends_training_a_number_of_epochs_after_the_best():
    assert ends_after(2, [3.0, 2.0, 2.5, 2.6, 1.0]) == 4
    assert ends_after(3, [3.0, 2.0, 2.5, 2.6, 1.0]) is None
    assert ends_after(None, [3.0] + 9 * [4.0]) is None


def test_patience_counts_from_where_a_training_was_extended():
    assert ends_after(2, [3.0, 2.0, 2.5, 2.6, 2.7, 2.8], since=4) == 6


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ([3.0, 2.0, 1.0], True),
        ([3.0, 1.0, 2.0], False),
        ([3.0, 1.0, 0.99], False),
        ([1.0], False),
        ([1.0, 1.0], False),
        ([float("nan"), 3.0, 1.0], True),
        ([10 - 0.2 * epoch for epoch in range(30)], True),
        ([1 + 0.5**epoch for epoch in range(30)], False),
    ],
)
def test_a_training_improves_while_its_last_tenth_brings_something(values, expected):
    assert is_improving(values, Metric("loss", "")) is expected
    higher = [-value for value in values]
    assert is_improving(higher, ACCURACY) is expected
