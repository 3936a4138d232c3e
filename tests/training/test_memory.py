"""Memory depends only on the window, or on its root if states are recomputed."""

import sys

import pytest

from tests.benchmarks import recomputation
from tests.benchmarks.memory import peak_memory


@pytest.mark.slow
def test_peak_memory_is_flat_in_the_length_of_the_sequence():
    assert peak_memory(100_000) < 1.1 * peak_memory(1_000)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads Linux' /proc")
def test_memory_grows_with_the_root_of_a_window_that_is_recomputed():
    lengths = (1_024, 4_096, 16_384)
    memory = [recomputation.peak_memory("sqrt", length) for length in lengths]
    assert 0.4 < recomputation.slope(lengths, memory) < 0.6
    assert 10 * memory[1] < recomputation.peak_memory("none", lengths[1])
