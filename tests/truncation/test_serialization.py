"""From the user's arguments to schedules, and to plain data and back."""

import json

import pytest

from bptt_keras import truncation
from bptt_keras.truncation.serialization import (
    as_recomputation,
    as_schedule,
    from_config,
    to_config,
)

VALUES = [
    truncation.FixedWindow(9, 3),
    truncation.FixedWindow(None),
    truncation.VariableWindow(20, full=0.5, shortest=2, multiple=3, seed=4),
    truncation.ARTBP(16, alpha=4, longest=99, seed=2),
    truncation.AdaptiveWindow(16, tolerance=0.2, longest=80, every=2, tail_from=9),
    truncation.Segments(7),
    truncation.Segments("sqrt"),
    truncation.Revolve(5, segment=2),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda v: type(v).__name__)
def test_plain_data_and_back(value):
    data = json.loads(json.dumps(to_config(value)))
    again = from_config(data)
    assert type(again) is type(value)
    assert again.get_config() == value.get_config()


@pytest.mark.parametrize("value", [None, 7, "sqrt"])
def test_other_values_are_returned_unchanged(value):
    assert to_config(value) == value == from_config(value)


def test_an_unknown_kind_is_refused():
    with pytest.raises(ValueError, match="kind='Window'"):
        from_config({"kind": "Window", "config": {}})


def test_numbers_become_fixed_windows():
    assert as_schedule(8, 2).get_config() == {"window": 8, "stride": 2}
    assert as_schedule(None).window is None
    schedule = truncation.ARTBP(9)
    assert as_schedule(schedule) is schedule


def test_a_stride_beside_a_schedule_is_refused():
    with pytest.raises(ValueError, match="`stride` belongs to a `window`"):
        as_schedule(truncation.FixedWindow(8), 2)


def test_strings_and_numbers_become_recomputations():
    assert as_recomputation(None) is None
    assert as_recomputation("sqrt").count == "sqrt"
    assert as_recomputation(4).count == 4
    method = truncation.Revolve(3)
    assert as_recomputation(method) is method


class Own(truncation.Schedule):
    """A schedule that this package does not know."""


def test_schedules_of_other_classes_are_left_to_others():
    schedule = Own()
    with pytest.raises(TypeError, match="`value` must be of one of"):
        to_config(schedule)
    data = {"module": "m", "class_name": "Own", "config": {}, "registered_name": "Own"}
    assert to_config(schedule, others=lambda value: data) == data
    assert from_config(data, others=lambda value: schedule) is schedule


def test_subclasses_are_not_mistaken_for_their_base_class():
    class Wider(truncation.FixedWindow):
        pass

    assert to_config(Wider(3), others=lambda value: "other") == "other"
