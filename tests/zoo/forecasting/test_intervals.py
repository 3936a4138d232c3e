import numpy as np
import pytest

from zoo.forecasting.intervals import coverage, half_widths, local_scale


@pytest.mark.parametrize(("n", "rank"), [(9, 9), (19, 18), (99, 90), (5, 5)])
def test_a_width_is_a_value_of_the_sorted_errors(n, rank):
    errors = np.random.default_rng(0).normal(size=(n, 3, 2))
    found = half_widths(errors)
    for k in range(3):
        for j in range(2):
            assert found[k, j] == sorted(abs(errors[:, k, j]))[rank - 1]


def test_nine_of_ten_new_errors_lie_within():
    rng = np.random.default_rng(0)
    widths = half_widths(rng.normal(size=(2000, 4, 2)))
    assert coverage(rng.normal(size=(2000, 4, 2)), widths) == pytest.approx(
        0.9, abs=0.01
    )


def test_the_local_scale_is_that_of_the_last_changes():
    known = np.random.default_rng(0).normal(size=(40, 2)).cumsum(axis=0)
    found = local_scale(known, np.array([30, 39]), 5, np.array([0.0, 9.0]))
    for row, t in enumerate((30, 39)):
        changes = [known[i, 0] - known[i - 1, 0] for i in range(t - 9, t + 1)]
        assert found[row, 0, 0] == pytest.approx(np.sqrt(np.mean(np.square(changes))))
    assert (found[:, 0, 1] == 9).all()
