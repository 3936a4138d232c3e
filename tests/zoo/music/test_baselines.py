import math

import numpy as np
import pytest

from zoo.music import baselines


def rolls(*lengths):
    rng = np.random.default_rng(0)
    return [(rng.random((length, 3)) < 0.3).astype(np.uint8) for length in lengths]


def test_key_rates_equal_plain_loops():
    train, pieces = rolls(30, 20), rolls(8, 5)
    total, frames = 0.0, 0
    for piece in pieces:
        for frame in piece[1:]:
            frames += 1
            for key, sounds in enumerate(frame):
                n = sum(int(f[key]) for p in train for f in p)
                rate = (n + 1) / (50 + 2)
                total -= math.log(rate if sounds else 1 - rate)
    assert baselines.key_rates(train, pieces) == pytest.approx(total / frames)


def test_key_chains_equal_plain_loops():
    train, pieces = rolls(30, 20), rolls(8, 5)
    counts = np.zeros((3, 2, 2))
    for piece in train:
        for before, after in zip(piece[:-1], piece[1:], strict=True):
            for key in range(3):
                counts[key, before[key], after[key]] += 1
    total, frames = 0.0, 0
    for piece in pieces:
        for before, after in zip(piece[:-1], piece[1:], strict=True):
            frames += 1
            for key in range(3):
                n = counts[key, before[key]]
                total -= math.log((n[after[key]] + 1) / (n.sum() + 2))
    assert baselines.key_chains(train, pieces) == pytest.approx(total / frames)
