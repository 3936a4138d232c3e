import math

import numpy as np
import pytest

from zoo.texts import baselines
from zoo.texts.ngrams import kneser_ney

# a b a a | a b c a, with c = 2 unseen in training and one id more, 3.
TRAIN = np.array([0, 1, 0, 0])
VALIDATION = np.array([0, 1, 2, 0])


def test_uniform_is_the_logarithm_of_the_size():
    assert baselines.uniform(4) == pytest.approx(math.log(4))


def test_unigram_equals_a_hand_computed_example():
    # n = 4 and size = 4: p = (3 + 1, 1 + 1, 0 + 1, 0 + 1) / 8; b, c and a are scored.
    expected = -(math.log(2 / 8) + math.log(1 / 8) + math.log(4 / 8)) / 3
    assert baselines.unigram(TRAIN, VALIDATION, 4) == pytest.approx(expected)


def test_ngram_is_the_mean_cost_of_all_but_the_first():
    probabilities = kneser_ney(TRAIN, VALIDATION, 4, 3)
    expected = -np.log(probabilities[1:]).mean()
    assert baselines.ngram(TRAIN, VALIDATION, 4, 3) == pytest.approx(expected)


def test_ngram_of_a_cycle_is_next_to_nothing():
    cycle = np.arange(3000) % 3
    assert baselines.ngram(cycle, cycle, 4, 2) < 0.01
    assert baselines.unigram(cycle, cycle, 4) == pytest.approx(math.log(3), abs=0.01)
