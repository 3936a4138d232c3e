"""Numbers and switches that functions of this package take, checked alike."""

import numbers
import random

import numpy as np


def at_least_one(name, value):
    """`value` as an `int`.

    Args:
        name: Name of the argument, for the message.
        value: What came.

    Raises:
        TypeError: If it is no integer.
        ValueError: If it is less than 1.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"`{name}` must be an integer. Received: {name}={value!r} of type "
            f"{type(value).__name__}."
        )
    if value < 1:
        raise ValueError(f"`{name}` must be at least 1. Received: {name}={value}.")
    return int(value)


def shuffling(shuffle, seed):
    """The source of an epoch's order: a function of the epoch, or `None`.

    Args:
        shuffle: Boolean.
        seed: Integer >= 0, or `None` for one that `keras.utils.set_random_seed` fixes.

    Returns:
        `None` without shuffling, else a function from the epoch, an integer, to a
        `numpy.random.Generator` of its own.

    Raises:
        TypeError: If `shuffle` is no boolean or `seed` no integer.
        ValueError: If `seed` is negative, or given although nothing is shuffled.
    """
    if not isinstance(shuffle, bool | np.bool_):
        raise TypeError(
            f"`shuffle` must be True or False. Received: shuffle={shuffle!r}."
        )
    if seed is not None:
        if isinstance(seed, bool) or not isinstance(seed, numbers.Integral):
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
