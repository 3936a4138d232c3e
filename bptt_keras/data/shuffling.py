"""The order of an epoch: whether data are shuffled, and with which seed."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import numpy as np

from bptt_keras.arguments import is_whole


def shuffling(shuffle: Any, seed: Any) -> Callable[[int], np.random.Generator] | None:
    """Returns the random generators that determine the order of each epoch.

    Args:
        shuffle: Boolean.
        seed: Integer >= 0, or `None` for one that `keras.utils.set_random_seed` fixes.

    Returns:
        `None` without shuffling, otherwise a function from the epoch, an integer, to
        the `numpy.random.Generator` of that epoch.

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
    root = random.randrange(1 << 31) if seed is None else int(seed)
    return lambda epoch: np.random.default_rng([root, epoch])
