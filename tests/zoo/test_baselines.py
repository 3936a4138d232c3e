import math

import numpy as np
import pytest

from zoo import baselines

# a b a a | a b c a, with c = 2 unseen in training and one id more, 3.
TRAIN = np.array([0, 1, 0, 0])
VALIDATION = np.array([0, 1, 2, 0])


def test_uniform_is_the_logarithm_of_the_size():
    assert baselines.uniform(4) == pytest.approx(math.log(4))


def test_unigram_equals_a_hand_computed_example():
    # n = 4 and size = 4: p = (3 + 1, 1 + 1, 0 + 1, 0 + 1) / 8; b, c and a are scored.
    expected = -(math.log(2 / 8) + math.log(1 / 8) + math.log(4 / 8)) / 3
    assert baselines.unigram(TRAIN, VALIDATION, 4) == pytest.approx(expected)


def test_bigram_equals_a_hand_computed_example():
    # Pairs ab, ba, aa: n(a) = 2, d(a) = 2; n(b) = 1, d(b) = 1; c was never followed.
    after_a = (1 + 2 * 2 / 8) / (2 + 2)
    after_b = (0 + 1 * 1 / 8) / (1 + 1)
    after_c = 4 / 8
    expected = -(math.log(after_a) + math.log(after_b) + math.log(after_c)) / 3
    assert baselines.bigram(TRAIN, VALIDATION, 4) == pytest.approx(expected)


def test_bigram_probabilities_sum_to_one():
    for previous in range(4):
        total = sum(
            math.exp(-baselines.bigram(TRAIN, np.array([previous, following]), 4))
            for following in range(4)
        )
        assert total == pytest.approx(1.0)


def test_bigram_of_a_cycle_is_next_to_nothing():
    cycle = np.arange(3000) % 3
    assert baselines.bigram(cycle, cycle, 4) < 0.01
    assert baselines.unigram(cycle, cycle, 4) == pytest.approx(math.log(3), abs=0.01)
