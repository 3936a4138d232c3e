import numpy as np
import pytest

from zoo.cases.neighbours import (
    _warped,
    nearest_neighbour,
    nearest_warped,
    own_accuracy,
    standardised,
)


def warped_by_loops(a, b, band):
    n = len(a)
    cost = np.full((n + 1, n + 1), np.inf)
    cost[0, 0] = 0
    for i in range(1, n + 1):
        for j in range(1, n + 1):
            if abs(i - j) <= band:
                before = min(cost[i - 1, j], cost[i, j - 1], cost[i - 1, j - 1])
                cost[i, j] = ((a[i - 1] - b[j - 1]) ** 2).sum() + before
    return cost[n, n]


@pytest.mark.parametrize("band", [1, 3, 11])
def test_warping_costs_what_plain_loops_find(band):
    draw = np.random.default_rng(0)
    a = draw.normal(size=(11, 2)).astype("float32")
    many = draw.normal(size=(4, 11, 2)).astype("float32")
    expected = [warped_by_loops(a, b, band) for b in many]
    np.testing.assert_allclose(_warped(a, many, band), expected, rtol=1e-5)


def test_one_timestep_can_be_warped():
    known = [np.zeros((1, 1)), np.ones((1, 1))]
    found = nearest_warped(known, np.array([3, 4]), [np.full((1, 1), 0.9)])
    assert found.tolist() == [4]


def test_the_nearest_series_of_another_length_is_found():
    ramp, wave = np.linspace(0, 1, 20), np.sin(np.linspace(0, 6, 20))
    known = [ramp[:, None], wave[:, None]]
    asked = [np.linspace(0, 1, 7)[:, None], np.sin(np.linspace(0, 6, 9))[:, None]]
    labels = np.array([5, 6])
    assert nearest_neighbour(known, labels, asked).tolist() == [5, 6]
    assert nearest_warped(known, labels, asked).tolist() == [5, 6]


def test_warping_is_left_out_where_it_would_take_long():
    long = [np.zeros((512, 1))] * 100
    assert nearest_warped(long, np.zeros(100, int), long * 10) is None


def test_no_series_is_its_own_neighbour():
    known = [np.full((3, 1), x) for x in (0.0, 0.1, 5.0, 5.1)]
    assert own_accuracy(known, np.array([0, 0, 1, 1])) == 1
    assert own_accuracy(known, np.array([0, 1, 0, 1])) == 0


def test_standardised_channels_have_mean_0_and_deviation_1():
    series = np.array([[1e300, 5.0], [3e300, 5.0]])
    np.testing.assert_allclose(standardised(series), [[-1, 0], [1, 0]])
