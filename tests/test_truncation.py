"""Where a sequence is cut."""

import pytest

from bptt_keras.truncation import FixedWindow


@pytest.mark.parametrize(("length", "window"), [(10, 4), (8, 4), (3, 4), (1, 1)])
def test_windows_tile_the_sequence(length, window):
    spans = FixedWindow(window).spans(length)
    covered = [t for start, steps in spans for t in range(start, start + steps)]
    assert covered == list(range(length))
    assert all(steps == window for _, steps in spans[:-1])
    truncation = FixedWindow(window)
    assert truncation.count(length) * window + truncation.tail(length) == length


def test_the_mean_horizon_is_that_of_the_steps_of_a_window():
    for window in (1, 2, 7, 64):
        reach = [step + 1 for step in range(window)]
        assert FixedWindow(window).mean_horizon == sum(reach) / window
