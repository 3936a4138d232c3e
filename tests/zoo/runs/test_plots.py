import math

import numpy as np
import pytest

from tests.zoo.pictures import ODD, SIGNATURE
from zoo.runs.plots import plot_grad_norm, plot_metric
from zoo.system import figures
from zoo.system.errors import ZooError
from zoo.tasks.task import Metric


def test_loss_plot_is_a_picture(tmp_path):
    history = {"epoch": [1, 2], "loss": [3.0, 2.0], "val_loss": [3.1, 2.2]}
    metric = Metric("cross-entropy", "nats")
    plot_metric(tmp_path / "loss.png", history, metric, {"bigram": 2.5}, "a title")
    assert (tmp_path / "loss.png").read_bytes().startswith(SIGNATURE)
    assert len(list(tmp_path.iterdir())) == 1


@pytest.fixture
def drawn(monkeypatch):
    """The axes that `plot_metric` draws, instead of a file."""
    found = []
    monkeypatch.setattr(figures, "save", lambda figure, path: found.append(figure))

    def call(values, lines, *, higher=False, best=None):
        history = {"epoch": list(range(1, len(values) + 1))}
        history |= {"loss": values, "val_loss": values}
        metric = Metric("metric", "", higher=higher)
        plot_metric("x.png", history, metric, lines, "a title", best=best)
        return found[-1].axes[0]

    return call


def levels_of(axes):
    """Names of levels beside the picture, and heights of lines in it."""
    lines = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"]
    return [text.get_text() for text in axes.texts], lines


def test_levels_far_from_the_curves_are_named_and_do_not_squash_them(drawn):
    axes = drawn([3.0, 2.0, 1.5], {"chance": 9.0, "bigram": 1.8, "paper": 0.1})
    low, high = axes.get_ylim()
    assert 0.5 < low < 1.5 and 3.0 < high < 4.0
    texts, lines = levels_of(axes)
    assert texts == ["paper 0.1 ↓", "bigram 1.8", "chance 9 ↑"]
    assert lines == [1.8]


def test_names_of_levels_do_not_cover_each_other(drawn):
    axes = drawn([3.0, 2.0], {name: 2.0 + i / 1e4 for i, name in enumerate("abcdef")})
    places = [text.xy[1] for text in axes.texts]
    assert min(np.diff(places)) >= 0.049
    assert min(places) >= 0 and max(places) <= 1


@pytest.mark.parametrize(
    "values, higher, best, expected",
    [
        ([3.0, 1.0, 2.0], False, None, 2),
        ([3.0, 1.0, 2.0], True, None, 1),
        ([0.5, 0.7, 0.7, 0.6], True, None, 3),
        ([math.nan, 1.0], False, None, 2),
        ([3.0, 1.0, 2.0], False, 3, 3),
    ],
)
def test_the_best_epoch_is_marked(drawn, values, higher, best, expected):
    axes = drawn(values, {}, higher=higher, best=best)
    assert f"best: epoch {expected}" in axes.get_legend_handles_labels()[1]


@pytest.mark.parametrize("values", [[2.0], [0.0], [math.nan], [None, 1.0]])
def test_few_or_no_numbers_can_be_drawn(drawn, values):
    axes = drawn(values, {"chance": 2.5, "broken": math.nan, "endless": math.inf})
    assert np.all(np.isfinite(axes.get_ylim()))


@pytest.mark.parametrize("clip", [1.0, None])
def test_gradient_plot_is_a_picture_with_and_without_clipping(tmp_path, clip):
    plot_grad_norm(tmp_path / "norm.png", [0.5, 2.0, 1.0], clip, "a title")
    assert (tmp_path / "norm.png").read_bytes().startswith(SIGNATURE)


def test_nan_gradients_can_be_drawn(tmp_path):
    plot_grad_norm(tmp_path / "norm.png", [0.5, float("nan")], 1.0, "a title")
    assert (tmp_path / "norm.png").exists()


@pytest.mark.parametrize("name", ODD)
@pytest.mark.quick(3)
def test_any_name_can_be_shown(tmp_path, capfd, name):
    history = {"epoch": [1, 2], "loss": [3.0, 2.0], "val_loss": [3.1, 2.2]}
    metric = Metric("error", name)
    plot_metric(tmp_path / "loss.png", history, metric, {name: 2.5}, name)
    plot_grad_norm(tmp_path / "norm.png", [0.5, 2.0], 1.0, name)
    assert len(list(tmp_path.iterdir())) == 2
    assert capfd.readouterr() == ("", "")


def test_a_picture_that_cannot_be_drawn_is_reported_and_ends_nothing(tmp_path, capsys):
    metric = Metric("error", "")
    plot_metric(tmp_path / "loss.png", {"epoch": [1]}, metric, {}, "a title")
    assert "loss.png could not be drawn: 'loss'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def test_a_full_disk_is_reported(tmp_path):
    with pytest.raises(ZooError, match="cannot be written"):
        plot_grad_norm(tmp_path / "nowhere" / "norm.png", [0.5], None, "a title")
