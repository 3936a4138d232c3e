"""The order of an epoch: whether data are shuffled, and with which seed."""

from __future__ import annotations

import random
from typing import Any

import numpy as np

from bptt_keras.arguments import is_whole


class Orders:
    """The random generators that determine the order of each epoch.

    Attributes:
        root: Integer that fixes them.
    """

    def __init__(self, root: int):
        self.root = root

    def generator(self, epoch: int) -> np.random.Generator:
        """The generator of an epoch, or of anything else with a number."""
        return np.random.default_rng([self.root, epoch])


def shuffling(shuffle: Any, seed: Any) -> Orders | None:
    """Whether data are shuffled, and with which generators.

    Args:
        shuffle: Boolean.
        seed: Integer >= 0, or `None` for one that `keras.utils.set_random_seed` fixes.

    Returns:
        `Orders`, or `None` without shuffling.

    Raises:
        TypeError: If `shuffle` is not a boolean or `seed` not an integer.
        ValueError: If `seed` is negative, or given without shuffling.
    """
    if not isinstance(shuffle, bool | np.bool_):
        raise TypeError(
            f"`shuffle` must be True or False. Received: shuffle={shuffle!r}."
        )
    if seed is not None:
        if not is_whole(seed):
            raise TypeError(
                f"`seed` must be an integer or None. Received: seed={seed!r} of type "
                f"{type(seed).__name__}."
            )
        if seed < 0:
            raise ValueError(f"`seed` must not be negative. Received: seed={seed}.")
        if not shuffle:
            raise ValueError(
                f"`seed` has no effect without shuffling. Received: seed={seed} and "
                f"shuffle=False. Leave `seed` out."
            )
    if not shuffle:
        return None
    # Keras draws its own default seeds from the same source.
    return Orders(random.randrange(1 << 31) if seed is None else int(seed))
