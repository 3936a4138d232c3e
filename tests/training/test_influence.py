"""The influence-balancing table: which truncations find the optimum."""

import numpy as np
import pytest

import bptt_keras as bk
from tests.training.influence import OPTIMUM, theta_after, trainer_of

STEPS = 300_000
SLOW = pytest.mark.slow


@pytest.mark.parametrize(
    "window",
    [pytest.param(n, marks=SLOW) if n != 10 else n for n in (1, 10, 50, 100)],
)
def test_windows_that_are_too_short_drive_the_weight_away(window):
    theta = theta_after(trainer_of(window, 1e-3), STEPS)
    assert not abs(theta - OPTIMUM) < 1


@pytest.mark.parametrize(
    ("window", "theta"),
    [
        pytest.param(120, -0.16625, marks=SLOW),
        (130, -0.16666),
        pytest.param(200, -0.16667, marks=SLOW),
    ],
)
def test_windows_that_are_long_enough_find_the_optimum(window, theta):
    found = theta_after(trainer_of(window, 1e-3), STEPS)
    np.testing.assert_allclose(found, theta, atol=2e-5)


@pytest.mark.slow
def test_randomised_truncation_finds_it_with_windows_of_16_on_average():
    schedule = bk.truncation.ARTBP(16, seed=1)
    assert abs(theta_after(trainer_of(schedule, 1e-3), STEPS) - OPTIMUM) < 1e-3


@SLOW
@pytest.mark.parametrize(("horizon", "finds"), [(10, False), (50, True), (100, True)])
def test_a_loss_at_the_end_needs_a_horizon_of_fifty(horizon, finds):
    trainer = trainer_of(horizon, 1e-4, return_sequences=False)
    x = np.zeros((3000, 200, 1), "float32")
    trainer.fit(x, np.ones((3000, 1)), batch_size=1, verbose=0)
    theta = float(trainer.model.trainable_variables[0])
    assert (abs(theta - OPTIMUM) < 1e-3) == finds
