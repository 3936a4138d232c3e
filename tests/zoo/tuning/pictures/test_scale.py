import pytest

from tests.zoo.tuning.made_up import measured
from zoo.tuning.pictures.scale import log_ticks, scale_of


def scale(values, levels=(), **changes):
    references = {str(level): level for level in levels}
    return scale_of(measured(values, references=references, **changes))


@pytest.mark.parametrize("count", [1, 3, 12])
def test_values_that_diverged_do_not_squash_the_others(count):
    found = scale([2.0, 2.5, 3.0, 2.2, 2.1] + [1e6 * (i + 1) for i in range(count)])
    assert (found.low, found.high, found.log) == (2.0, 3.0, False)
    assert found.inside(3.0) and not found.inside(1e6)
    assert found.place(1e6) == 3.0


def test_values_that_are_merely_bad_are_shown():
    found = scale([2.30, 2.30, 2.301, 2.302, 2.31, 2.4, 3.0, 4.2])
    assert (found.low, found.high) == (2.30, 4.2)


def test_where_higher_is_better_the_low_values_may_be_far():
    found = scale([0.9, 0.8, 0.85, -1e6], higher=True)
    assert (found.low, found.high) == (0.8, 0.9)
    assert scale([0.95, 0.94, 0.1], higher=True).low == 0.1


def test_values_over_powers_of_ten_get_a_logarithmic_axis():
    found = scale([1e-5, 1e-4, 1e-3, 0.1, 0.17, 0.17])
    assert found.log and found.inside(1e-5) and found.inside(0.17)
    assert found.fraction(found.at(0.25)) == pytest.approx(0.25)
    assert not scale([1.0, 50.0]).log
    assert not scale([-1.0, 1e-5, 10.0]).log


def test_levels_are_shown_unless_they_are_far_off():
    found = scale([2.0, 2.5], levels=[2.8, 40.0, float("nan")])
    assert (found.low, found.high) == (2.0, 2.8)


@pytest.mark.parametrize("values", [[], [2.0], [0.0], [2.0, 2.0]])
def test_the_axis_is_never_empty(values):
    found = scale(values)
    assert found.low < found.high
    assert all(found.low < value < found.high for value in values)


@pytest.mark.parametrize(
    ("low", "high", "ticks"),
    [
        (1e-4, 1e-1, [1e-4, 1e-3, 1e-2, 1e-1]),
        (1e-3, 3e-2, [1e-3, 3e-3, 1e-2, 3e-2]),
        (20, 60, [20, 30, 40, 50, 60]),
        (0.26, 0.27, [0.26, 0.27]),
    ],
)
def test_ticks_are_round_numbers(low, high, ticks):
    assert log_ticks(low, high) == pytest.approx(ticks)


def test_ticks_of_wide_axes_are_few():
    assert 3 <= len(log_ticks(1e-20, 1e20)) <= 8
    assert log_ticks(32, 256, powers_of_two=True) == [32, 64, 128, 256]
    assert 3 <= len(log_ticks(1, 2**20, powers_of_two=True)) <= 8
