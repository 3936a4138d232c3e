"""The defaults of a schedule of windows, and windows that it must not return."""

import pytest

from bptt_keras.truncation import (
    ARTBP,
    AdaptiveWindow,
    FixedWindow,
    Schedule,
    Span,
    VariableWindow,
)
from bptt_keras.truncation.schedule import checked_spans

SCHEDULES = [
    FixedWindow(None),
    FixedWindow(5),
    FixedWindow(5, 2),
    FixedWindow(7, 1),
    VariableWindow(20, seed=1),
    ARTBP(6, seed=1),
    AdaptiveWindow(6),
]


class Own(Schedule):
    def __init__(self, **attributes):
        vars(self).update(attributes)


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
@pytest.mark.parametrize("length", [1, 2, 6, 40])
def test_the_windows_of_each_schedule_follow_one_another(schedule, length):
    for lead in {0, schedule.lead}:
        spans = checked_spans(schedule, length, lead)
        assert spans[-1].stop == length


@pytest.mark.parametrize("schedule", SCHEDULES, ids=lambda s: type(s).__name__)
def test_a_schedule_equals_the_one_from_its_configuration(schedule):
    again = type(schedule).from_config(schedule.get_config())
    assert type(again) is type(schedule)
    assert again.get_config() == schedule.get_config()


@pytest.mark.parametrize(("window", "stride"), [(None, None), (6, None), (6, 2)])
def test_the_defaults_are_those_of_fixed_windows(window, stride):
    own, fixed = Own(window=window, stride=stride), FixedWindow(window, stride)
    for name in ("longest", "lead", "mean_horizon", "evaluation_window"):
        assert getattr(own, name) == getattr(fixed, name)
    for length in (1, 5, 20):
        assert own.spans(length, own.lead) == fixed.spans(length, fixed.lead)
        assert own.last(length) == fixed.last(length)


def test_computed_defaults_follow_the_window():
    own = Own(window=4)
    own.window = 8
    assert (own.longest, own.evaluation_window, own.mean_horizon) == (8, 8, 4.5)


def test_an_attribute_takes_precedence_over_a_computed_default():
    own = Own(window=4, longest=9)
    assert (own.longest, own.evaluation_window) == (9, 9)

    class Shown(Own):
        evaluation_window = 3

    assert Shown(window=4, longest=9).evaluation_window == 3


def test_windows_may_have_lengths_and_rates_of_their_own():
    class Doubling(Own):
        def draw(self):
            self.window *= 2
            return self.window

        def rate(self, steps):
            return steps / 4

    assert Doubling(window=1).spans(10) == [
        Span(0, 0, 2, 2, 0.5),
        Span(2, 2, 6, 6, 1.0),
        Span(6, 6, 10, 10, 1.0),
    ]


@pytest.mark.parametrize(
    ("spans", "message"),
    [
        ([], "must reach the end.*0 of 9 timesteps from Given"),
        ([Span(0, 0, 4, 4)], "must reach the end.*4 of 9"),
        ([Span(0, 0, 4, 4), Span(5, 5, 9, 9)], "must go on from one another"),
        ([Span(0, 0, 4, 4), Span(3, 4, 9, 9)], "must go on from one another"),
        ([Span(0, 0, 4, 3), Span(4, 4, 9, 9)], "must go on from one another"),
        ([Span(0, 0, 10, 10)], "must go on from one another"),
        ([Span(0, 0, 9, 9)], "must not exceed its `longest`.*longest=8"),
    ],
)
def test_windows_that_do_not_follow_one_another_are_refused(spans, message):
    class Given(Own):
        def spans(self, length, lead=0):
            return spans

    with pytest.raises(ValueError, match=message):
        checked_spans(Given(window=8), 9)
