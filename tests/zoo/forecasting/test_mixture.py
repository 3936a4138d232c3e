import numpy as np
import pytest

from zoo.forecasting.mixture import best_share


def test_the_share_minimises_the_error():
    rng = np.random.default_rng(0)
    one, two = rng.normal(size=(2, 50, 3)) + 0.3 * rng.normal(size=(50, 3))
    errors = {s: ((s * one + (1 - s) * two) ** 2).sum() for s in np.linspace(0, 1, 101)}
    least = min(errors, key=errors.get)
    assert best_share(one, two) == pytest.approx(least, abs=0.006)


def test_shares_stay_between_zero_and_one():
    errors = np.ones((9, 2))
    assert best_share(3 * errors, errors) == 0
    assert best_share(errors, 3 * errors) == 1
    assert best_share(errors, errors) == 0
