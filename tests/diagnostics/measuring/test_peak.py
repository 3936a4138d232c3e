"""`peak_memory` and `memory_growth` against known amounts of memory."""

import numpy as np
import pytest
import tensorflow as tf

from bptt_keras.diagnostics import MemoryGrowth, memory_growth, peak_memory
from bptt_keras.diagnostics.measuring.peak import can_measure

pytestmark = pytest.mark.skipif(not can_measure(), reason="Linux or a GPU")


@pytest.mark.parametrize("mib", [8, 64])
def test_an_array_is_measured_at_its_size(mib):
    found = peak_memory(lambda: np.ones(mib * 2**17))
    assert abs(found - mib) < 1


def test_tensors_of_a_compiled_function_count_at_their_peak():
    @tf.function(jit_compile=True)
    def twice(x):
        return tf.cumsum(x) + tf.reverse(x, [0])

    x = tf.ones(2**22)  # 16 MiB
    twice(x)
    assert 15 < peak_memory(lambda: twice(x)) < 70


def test_what_was_freed_before_does_not_hide_what_is_needed():
    np.ones(2**25)
    assert peak_memory(lambda: np.ones(2**22)) > 30


def test_free_memory_in_the_heap_does_not_hide_what_is_needed():
    # Blocks between others stay in the heap when they are freed.
    blocks = [np.ones(2**12) for _ in range(2000)]
    del blocks[::2]
    assert peak_memory(lambda: [np.ones(2**12) for _ in range(900)], repeats=3) > 20


def test_growth_distinguishes_what_is_kept_from_what_is_not():
    def keeps(steps):
        return [np.ones(2**15) for _ in range(steps)]

    def lets_go(steps):
        for _ in range(steps):
            np.ones(2**20)

    assert abs(memory_growth(keeps, [32, 64, 128]).exponent - 1) < 0.1
    flat = memory_growth(lets_go, [16, 64])
    assert abs(flat.exponent) < 0.1
    assert flat.verdict().startswith("Memory does not grow")


@pytest.mark.parametrize(
    ("mib", "words"),
    [
        ([1, 4, 16], "the state is not detached"),
        ([1, 2, 4], "grows like the root"),
        ([4, 4, 4], "does not grow"),
    ],
)
def test_the_verdict_says_it_in_words(mib, words):
    assert words in MemoryGrowth([100, 400, 1600], mib).verdict()


def test_one_length_is_refused():
    with pytest.raises(ValueError, match="two at least"):
        memory_growth(lambda n: None, [4])
