"""The regression that forecasts should beat."""

import dataclasses
import json

import numpy as np
import pytest

from zoo.forecasting.ridge import MARGIN, Ridge, fit_ridge, is_clearly_better
from zoo.forecasting.rules import ahead


def autoregressive(steps=900, seed=0):
    rng, x = np.random.default_rng(seed), np.zeros(steps)
    for t in range(2, steps):
        x[t] = 1.5 * x[t - 1] - 0.8 * x[t - 2] + rng.normal()
    return x[:, None] / x.std()


@pytest.mark.parametrize("anchor", ["last", "mean"])
@pytest.mark.parametrize("season", [1, 5])
def test_a_forecast_is_the_formula(anchor, season):
    rng = np.random.default_rng(1)
    known, horizon = rng.normal(size=(60, 2)), 3
    ridge = Ridge(4, season, 2, anchor, np.zeros(()))
    weights = rng.normal(size=(2, ridge.size(horizon), horizon))
    ridge = dataclasses.replace(ridge, weights=weights)
    found = ridge.forecast(known, np.array([40, 59]))
    for row, t in enumerate((40, 59)):
        for j in range(2):
            x = [known[t - i, j] for i in range(4)]
            if season > 1:
                for k in range(1 - MARGIN, horizon + MARGIN + 1):
                    places = [p for p in range(t + k, 0, -1) if (t + k - p) % 5 == 0]
                    before = [p for p in places if p <= t and p < t + k]
                    x.append(np.mean([known[p, j] for p in before[:2]]))
            a = known[t, j] if anchor == "last" else 0.0
            expected = a + np.append(np.array(x) - a, 1) @ weights[j]
            np.testing.assert_allclose(found[row, :, j], expected, rtol=1e-9)


def test_the_fit_solves_the_ridge_regression():
    known = autoregressive()
    ridge = fit_ridge(known, (600, 700), 4, 1)
    places = np.arange(ridge.lags - 1, 596)
    a = known[places, 0] if ridge.anchor == "last" else np.zeros(len(places))
    lags = np.stack([known[places - i, 0] for i in range(ridge.lags)], axis=1)
    x = np.concatenate([lags - a[:, None], np.ones((len(places), 1))], axis=1)
    y = ahead(known, places, 4)[..., 0] - a[:, None]
    # The gradient of the penalised error is zero: X'(y - Xw) = penalty w.
    pull, weights = x.T @ (y - x @ ridge.weights[0]), ridge.weights[0]
    penalty = (pull * weights).sum() / (weights**2).sum()
    np.testing.assert_allclose(pull, penalty * weights, atol=1e-6 * len(places))
    assert penalty > 0


def test_it_comes_near_the_best_linear_forecast():
    known = autoregressive()
    ridge = fit_ridge(known, (600, 700), 1, 1)
    places = np.arange(700, 899)
    error = ((ridge.forecast(known, places) - ahead(known, places, 1)) ** 2).mean()
    best = 1.5 * known[places, 0] - 0.8 * known[places - 1, 0]
    least = ((best - known[places + 1, 0]) ** 2).mean()
    assert error < 1.05 * least


@pytest.mark.parametrize("seed", range(3))
def test_a_random_walk_is_forecast_by_its_last_value(seed):
    walk = np.random.default_rng(seed).normal(size=(1200, 1)).cumsum(axis=0)
    walk = (walk - walk[:800].mean()) / walk[:800].std()
    ridge = fit_ridge(walk, (800, 950), 10, 1)
    assert ridge.anchor == "last" and not ridge.weights.any()


def test_values_after_the_validation_part_change_nothing():
    known = autoregressive(400)
    other = known.copy()
    other[350:] = 99
    one, two = (fit_ridge(k, (280, 350), 3, 12) for k in (known, other))
    np.testing.assert_array_equal(one.weights, two.weights)


def test_it_survives_json_and_damaged_values_are_refused():
    ridge = fit_ridge(autoregressive(300), (200, 250), 3, 1)
    stored = json.loads(json.dumps(ridge.to_json()))
    back = Ridge.from_json(stored, 1, 3)
    np.testing.assert_allclose(back.weights, ridge.weights, rtol=1e-5)
    for change in (
        {"lags": 10**9},
        {"lags": 2.0},
        {"season": 0},
        {"anchor": "none"},
        {"weights": [[["x"]]]},
        {"weights": [[[float("nan")]]]},
        {"more": 1},
    ):
        with pytest.raises(ValueError, match="no ridge regression"):
            Ridge.from_json(stored | change, 1, 3)


def test_an_insignificant_gain_is_not_a_gain():
    rng = np.random.default_rng(0)
    simple, places = rng.normal(size=200) ** 2, np.arange(200)
    assert is_clearly_better(simple - 0.5, simple, places, 10)
    assert not is_clearly_better(rng.normal(size=200) ** 2, simple, places, 10)
