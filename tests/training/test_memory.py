"""Memory depends on the window, not on the length of the sequence."""

import pytest

from tests.benchmarks.memory import peak_memory


@pytest.mark.slow
def test_peak_memory_is_flat_in_the_length_of_the_sequence():
    assert peak_memory(100_000) < 1.1 * peak_memory(1_000)
