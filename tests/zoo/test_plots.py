import numpy as np
import pytest

from zoo.plots import plot_forecast, plot_grad_norm, plot_metric, plot_roll
from zoo.tasks.task import Metric

SIGNATURE = b"\x89PNG\r\n\x1a\n"


def test_loss_plot_is_a_picture(tmp_path):
    history = {"epoch": [1, 2], "loss": [3.0, 2.0], "val_loss": [3.1, 2.2]}
    metric = Metric("cross-entropy", "nats")
    plot_metric(tmp_path / "loss.png", history, metric, {"bigram": 2.5}, "a title")
    assert (tmp_path / "loss.png").read_bytes().startswith(SIGNATURE)
    assert len(list(tmp_path.iterdir())) == 1


def test_rules_that_are_equally_good_share_a_line(tmp_path, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        "zoo.plots._level", lambda axes, level, text: drawn.append((level, text))
    )
    history = {"epoch": [1], "loss": [3.0], "val_loss": [3.1]}
    levels = {"one rule": 2.5, "chance": 3.0, "another rule": 2.5001}
    plot_metric(tmp_path / "loss.png", history, Metric("loss", ""), levels, "")
    assert drawn == [(2.5, "one rule, another rule 2.5"), (3.0, "chance 3")]


@pytest.mark.parametrize("clip", [1.0, None])
def test_gradient_plot_is_a_picture_with_and_without_clipping(tmp_path, clip):
    plot_grad_norm(tmp_path / "norm.png", [0.5, 2.0, 1.0], clip, "a title")
    assert (tmp_path / "norm.png").read_bytes().startswith(SIGNATURE)


def test_gradients_that_are_no_numbers_can_be_drawn(tmp_path):
    plot_grad_norm(tmp_path / "norm.png", [0.5, float("nan")], 1.0, "a title")
    assert (tmp_path / "norm.png").exists()


@pytest.mark.parametrize("begin", [0, 2, 5])
def test_rolls_are_drawn_with_and_without_notes(tmp_path, begin):
    roll = np.zeros((5, 88))
    for keys in ([], [0], [40, 87]):
        roll[:, keys] = 1
        path = tmp_path / "roll.png"
        plot_roll(path, roll, begin=begin, frames_per_beat=2, title="a title")
        assert path.read_bytes().startswith(SIGNATURE)


@pytest.mark.parametrize(("horizon", "columns"), [(1, 1), (4, 9)])
def test_forecasts_are_drawn(tmp_path, horizon, columns):
    ahead = np.ones((horizon, columns))
    plot_forecast(
        tmp_path / "a.png",
        np.zeros((6, columns)),
        ahead,
        2 * ahead,
        names=list("abcdefghi")[:columns],
        rule="last value",
        title="a title",
    )
    assert (tmp_path / "a.png").read_bytes().startswith(SIGNATURE)
