"""How long to train on the user's own data: enough updates, within a few hours."""

from __future__ import annotations

import math

# The most multiplications and additions of a training: an hour or two on two cores.
MOST_OPERATIONS = 3e14
# Operations per weight and timestep: 2 in the forward pass, 4 in the backward pass.
PER_WEIGHT = 6


def epochs_for(
    *, updates: int, wanted: int, timesteps: int, weights: int, most: int = 60
) -> int:
    """The number of epochs for enough updates, within the budget of a training.

    Args:
        updates: Weight updates per epoch.
        wanted: Weight updates of the training.
        timesteps: Timesteps per epoch.
        weights: Weights that a timestep computes with.
        most: Most epochs; short data are memorised in more.

    Returns:
        At least 1.
    """
    enough = math.ceil(wanted / max(1, updates))
    affordable = int(MOST_OPERATIONS / max(1, PER_WEIGHT * weights * timesteps))
    return max(1, min(enough, affordable, most))


def patience_for(epochs: int) -> int:
    """Epochs without improvement in validation after which a training stops."""
    return max(5, math.ceil(epochs / 4))


def rows_for(timesteps: int, window: int, *, updates: int, most: int) -> int:
    """Rows of a batch, a power of 2 from 4, that give that many updates per epoch."""
    rows = max(1.0, timesteps / (updates * window))
    return max(4, min(most, 2 ** round(math.log2(rows))))
