"""Long trainings keep their memory and their speed."""

import pytest

from tests.benchmarks.soak import soak, summary


@pytest.mark.slow
@pytest.mark.parametrize("jit", ["auto", False])
def test_many_updates_on_many_lengths_leave_memory_and_traces_as_they_are(jit):
    found = summary(soak(12_000, jit, told=lambda line: None))
    # One for all sizes, and one before the sizes were known to vary.
    assert found["traces"] <= 2
    assert found["memory"] < 60
    assert found["speed"] > 0.6
