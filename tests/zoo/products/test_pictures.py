import numpy as np
import pytest

from tests.zoo.pictures import ODD, SIGNATURE
from zoo.products.pictures import plot_forecast, plot_roll
from zoo.tables.clock import Clock


@pytest.mark.parametrize("begin", [0, 2, 5])
def test_rolls_are_drawn_with_and_without_notes(tmp_path, begin):
    roll = np.zeros((5, 88))
    for keys in ([], [0], [40, 87]):
        roll[:, keys] = 1
        path = tmp_path / "roll.png"
        plot_roll(path, roll, begin=begin, frames_per_beat=2, title="a title")
        assert path.read_bytes().startswith(SIGNATURE)


@pytest.mark.parametrize(("horizon", "columns"), [(1, 1), (4, 9)])
@pytest.mark.parametrize("dated", [False, True])
def test_forecasts_are_drawn(tmp_path, horizon, columns, dated):
    days = np.arange("2024-03-01", "2024-03-09", dtype="datetime64[D]")
    ahead = np.ones((horizon, columns))
    plot_forecast(
        tmp_path / "a.png",
        np.zeros((6, columns)),
        ahead,
        2 * ahead,
        names=list("abcdefghi")[:columns],
        rule="last value",
        title="a title",
        widths=ahead if dated else None,
        clock=Clock.of("day", days, "%Y-%m-%d") if dated else None,
    )
    assert (tmp_path / "a.png").read_bytes().startswith(SIGNATURE)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.quick(3)
def test_any_name_can_be_shown(tmp_path, capfd, name):
    ahead = np.ones((2, 1))
    options = {"names": [name], "rule": name, "title": name}
    plot_forecast(tmp_path / "ahead.png", np.zeros((6, 1)), ahead, ahead, **options)
    roll = np.ones((3, 88))
    plot_roll(tmp_path / "roll.png", roll, begin=1, frames_per_beat=1, title=name)
    assert len(list(tmp_path.iterdir())) == 2
    assert capfd.readouterr() == ("", "")
