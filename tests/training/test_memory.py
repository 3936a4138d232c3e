"""Memory depends on the window, not on the length of the sequence."""

import pytest

from tests.benchmarks.memory import peak_memory


@pytest.mark.slow
def test_peak_memory_is_flat_in_the_length_of_the_sequence():
    short, long = (
        peak - data for peak, data in (peak_memory(1_000), peak_memory(100_000))
    )
    assert long < 1.1 * short
