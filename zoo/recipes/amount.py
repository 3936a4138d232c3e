"""How much a model trains on the user's own data: enough, and no night and day."""

from __future__ import annotations

import math

# A training's multiplications and additions: an hour or two on two cores.
MOST = 3e14
# For each weight that a timestep uses: forward, and twice that backward.
A_WEIGHT = 6


def epochs_for(
    *, updates: int, wanted: int, timesteps: int, weights: int, most: int = 60
) -> int:
    """Epochs that give enough updates, within what a training may take.

    Args:
        updates: Weight updates of an epoch.
        wanted: Weight updates of the training.
        timesteps: Timesteps of an epoch.
        weights: Weights that a timestep uses.
        most: Epochs of short data, which are learnt by heart in more.

    Returns:
        At least 1.
    """
    enough = math.ceil(wanted / max(1, updates))
    affordable = int(MOST / max(1, A_WEIGHT * weights * timesteps))
    return max(1, min(enough, affordable, most))


def patience_for(epochs: int) -> int:
    """Epochs without a better validation after which a training ends."""
    return max(5, math.ceil(epochs / 4))


def rows_for(timesteps: int, window: int, *, updates: int, most: int) -> int:
    """Rows of a batch, a power of 2 from 4 on, that give so many updates an epoch."""
    rows = max(1.0, timesteps / (updates * window))
    return max(4, min(most, 2 ** round(math.log2(rows))))
