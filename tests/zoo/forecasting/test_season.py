import numpy as np
import pytest

from zoo.forecasting.season import find_season


def noise(steps, seed=0):
    return np.random.default_rng(seed).normal(size=(steps, 1))


@pytest.mark.parametrize("season", [4, 7, 12, 24, 168])
def test_a_season_is_found_behind_trend_and_noise(season):
    steps = np.arange(8 * season)[:, None]
    shape = np.random.default_rng(3).normal(size=season)
    series = 3 * shape[steps % season] + 0.05 * steps + 0.3 * noise(len(steps))
    assert find_season(series) == season


@pytest.mark.parametrize("seed", range(5))
def test_noise_and_random_walks_have_no_season(seed):
    assert find_season(noise(800, seed)) == 1
    assert find_season(noise(800, seed).cumsum(axis=0), usual=[7]) in (
        1,
        *range(60, 401),
    )


def test_a_usual_season_is_preferred_to_a_neighbour():
    steps = np.arange(1700)[:, None]
    series = np.cos(2 * np.pi * steps / 365.25) + 0.3 * noise(1700)
    assert find_season(series, usual=[7, 365]) == 365


def test_constant_or_short_series_have_no_season():
    assert find_season(np.ones((50, 2))) == 1
    assert find_season(np.arange(3.0)[:, None]) == 1
