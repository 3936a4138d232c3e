"""Plans of recomputation: the right states, the fewest steps, no extra slots."""

import functools

import pytest

from bptt_keras.truncation import Revolve, Segments


def forward_steps(method, segments):
    """Carries a plan out on numbers and returns how many segments ran forward."""
    slots, current, steps, waiting = {}, 0, 0, segments
    for restore, begin, end, store, backward in method.plan(segments):
        if restore >= 0:
            current = slots[restore]
        assert current == begin <= end
        steps, current = steps + end - begin, end
        if store >= 0:
            slots[store] = current
            assert len(slots) <= method.slots(segments)
        if backward:
            waiting -= 1
            assert current == waiting
    assert waiting == 0
    return steps


@functools.cache
def fewest(segments, slots):
    """The least number of forward steps, by trying every place for the next state."""
    if segments == 1:
        return 0
    if slots == 1:
        return segments * (segments - 1) // 2
    return min(
        first + fewest(segments - first, slots - 1) + fewest(first, slots)
        for first in range(1, segments)
    )


@pytest.mark.parametrize("slots", [1, 2, 3, 6])
def test_revolve_takes_the_fewest_forward_steps(slots):
    method = Revolve(slots)
    for segments in range(1, 40):
        steps = forward_steps(method, segments)
        assert steps == fewest(segments, slots) == method.forward_steps(segments)


def test_revolve_of_1000_steps_and_10_slots():
    assert Revolve(10).forward_steps(1000) == forward_steps(Revolve(10), 1000) == 3636


@pytest.mark.parametrize("segments", [1, 2, 3, 10])
def test_segments_run_forward_once(segments):
    assert forward_steps(Segments(), segments) == segments - 1


@pytest.mark.parametrize("window", [1, 2, 3, 10, 99, 100, 101])
def test_sqrt_makes_about_as_many_segments_as_the_root_of_the_window(window):
    steps = Segments("sqrt").segment_length(window)
    count = -(-window // steps)
    assert abs(count - window**0.5) <= 1 and abs(steps - window**0.5) <= 1


@pytest.mark.parametrize(("count", "length"), [(1, 10), (3, 4), (10, 1), (99, 1)])
def test_a_number_of_segments(count, length):
    assert Segments(count).segment_length(10) == length


@pytest.mark.parametrize(
    ("make", "error", "name"),
    [
        (lambda: Segments(0), ValueError, "count"),
        (lambda: Segments("root"), ValueError, "count"),
        (lambda: Segments(1.5), TypeError, "count"),
        (lambda: Revolve(0), ValueError, "slots"),
        (lambda: Revolve(True), TypeError, "slots"),
        (lambda: Revolve(3, segment=0), ValueError, "segment"),
    ],
)
def test_wrong_arguments_are_refused_by_name(make, error, name):
    with pytest.raises(error, match=f"`{name}`"):
        make()
