import io
import os
import re

import pytest

from zoo.runs import progress
from zoo.runs.progress import Progress, bar, duration
from zoo.tasks import TASKS

LOGS = {"loss": 1.5, "val_loss": 1.25, "grad_norm": 0.81234}
ACCURACY = {"sparse_categorical_accuracy": 0.5, "val_sparse_categorical_accuracy": 0.75}


class Terminal(io.StringIO):
    """A terminal that remembers what was drawn on it."""

    def isatty(self):
        return True

    def lines(self):
        """What each line showed last."""
        return [
            line.split("\r")[-1].rstrip() for line in self.getvalue().split("\n")[:-1]
        ]


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands until it is put on."""

    class Clock:
        now = 0.0

        def monotonic(self):
            return self.now

    clock = Clock()
    monkeypatch.setattr(progress.time, "monotonic", clock.monotonic)
    return clock


@pytest.fixture
def train(monkeypatch, clock):
    """Runs epochs of two batches on a stream of a width; the second is the best."""

    def call(stream, width=80, *, task="char-lm", epochs=(0, 1, 2), logs=LOGS):
        monkeypatch.setattr("sys.stdout", stream)
        monkeypatch.setenv("COLUMNS", str(width))
        best = []
        shown = Progress(TASKS[task].METRIC, 3, lambda: max(best))
        shown.set_params({"steps": 2})
        for epoch in epochs:
            best.append(min(epoch + 1, 2))
            shown.on_epoch_begin(epoch)
            for batch in range(2):
                # The first batch of all compiles for a minute.
                clock.now += 60 if batch == 0 and epoch == epochs[0] else 2
                shown.on_train_batch_end(batch, logs)
            shown.on_test_begin()
            clock.now += 1
            shown.on_epoch_end(epoch, logs)
        return stream

    return call


def test_a_file_has_one_whole_line_per_epoch(train):
    lines = train(io.StringIO(), width=20).getvalue().splitlines()
    shown = "cross-entropy 1.5000  validation 1.2500 (1.8034 bits/char)"
    assert lines == [
        f"epoch 1/3  {shown} best  gradient norm 0.812  63 s, 6.0 s left",
        f"epoch 2/3  {shown} best  gradient norm 0.812  5.0 s, 5.0 s left",
        f"epoch 3/3  {shown}  gradient norm 0.812  5.0 s",
    ]


def test_the_metric_of_the_task_comes_before_the_loss(train):
    text = train(io.StringIO(), task="mnist", logs={**LOGS, **ACCURACY}).getvalue()
    assert "accuracy 0.5000  validation 0.7500 best  loss 1.5, validation 1.25" in text


@pytest.mark.parametrize("width", [20, 40, 60, 80, 120])
def test_lines_fit_the_terminal(train, width):
    lines = train(Terminal(), width).lines()
    assert len(lines) == 3
    assert all(0 < len(line) < width for line in lines)
    if width >= 40:
        assert re.search(r"validation 1.2500( .*char.)? best", lines[1])
    if width >= 80:
        assert lines[1].endswith("  5.0 s, 5.0 s left")


def test_a_terminal_has_a_bar_while_the_epoch_runs(train):
    drawn = train(Terminal(), 80).getvalue()
    for words in ("epoch 1/3 ", "2/2, 1.5000", "epoch 2/3, validation "):
        assert words in drawn
    parts = re.split(r"[\r\n]", drawn)
    assert max(map(len, parts)) <= 80


def test_resumed_training_continues_counting(train):
    lines = train(io.StringIO(), epochs=(1, 2)).getvalue().splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 2/3", "epoch 3/3"]


def test_an_interruption_removes_the_bar(monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    monkeypatch.setenv("COLUMNS", "60")
    shown = Progress(TASKS["char-lm"].METRIC, 3, lambda: None)
    shown.set_params({"steps": 2})
    shown.on_epoch_begin(0)
    shown.on_train_batch_end(0, LOGS)
    assert "epoch 1/3" in terminal.getvalue()
    shown.close()
    shown.close()
    assert terminal.getvalue().endswith("\r")
    assert terminal.getvalue().split("\r")[-2].strip() == ""


def test_batches_of_unknown_number_are_counted(train, monkeypatch):
    terminal = Terminal()
    monkeypatch.setattr("sys.stdout", terminal)
    shown = Progress(TASKS["char-lm"].METRIC, 2, lambda: 1)
    shown.set_params({"steps": None})
    for epoch in range(2):
        shown.on_epoch_begin(epoch)
        for batch in range(3):
            shown.on_train_batch_end(batch, LOGS)
        shown.on_epoch_end(epoch, LOGS)
    first, second = terminal.getvalue().split("\n")[:2]
    assert "0/3" not in first and "0/3" in second


def test_a_short_measurement_shows_nothing():
    terminal = Terminal()
    shown = bar("measuring", 3, terminal, delay=5)
    shown.update()
    shown.close()
    assert "measuring" not in terminal.getvalue()


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_a_bar_is_as_wide_as_a_real_terminal(monkeypatch):
    import fcntl
    import struct
    import termios

    monkeypatch.delenv("COLUMNS", raising=False)
    ours, theirs = os.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 40, 0, 0))
    with os.fdopen(theirs, "w") as terminal:
        shown = bar("epoch 1/3", 10, terminal)
        shown.update(5)
        shown.refresh()
        drawn = os.read(ours, 4096).decode()
        shown.close()
    os.close(ours)
    assert 35 < max(len(part) for part in drawn.split("\r")) <= 40


@pytest.mark.parametrize(
    "seconds, words",
    [
        (0, "0.0 s"),
        (9.94, "9.9 s"),
        (12.4, "12 s"),
        (89, "89 s"),
        (300, "5 min"),
        (3 * 3600 + 600, "3 h 10 min"),
        (60 * 3600, "2 days 12 h"),
    ],
)
def test_durations_have_suitable_units(seconds, words):
    assert duration(seconds) == words
