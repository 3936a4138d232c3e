"""What numeric arguments are asked to be."""

import math
import numbers


def whole(name, value, *, least=1, unit="timesteps"):
    """`value` as an `int`, after a check.

    Args:
        name: Name of the argument, for the message.
        value: What the user gave.
        least: Smallest value that is allowed.
        unit: What is counted, for the message.

    Raises:
        TypeError: If `value` is no integer.
        ValueError: If `value` is less than `least`.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Integral):
        raise TypeError(
            f"`{name}` must be an integer number of {unit}. Received: "
            f"{name}={value!r} of type {type(value).__name__}."
        )
    if value < least:
        raise ValueError(
            f"`{name}` must be at least {least} {unit}. Received: {name}={value}."
        )
    return int(value)


def real(name, value, *, above=None, least=None, below=None, most=None):
    """`value` as a `float`, after a check that it is finite and of its bounds.

    Args:
        name: Name of the argument, for the message.
        value: What the user gave.
        above: Bound that must be exceeded, or `None`.
        least: Smallest value that is allowed, or `None`.
        below: Bound that must not be reached, or `None`.
        most: Largest value that is allowed, or `None`.

    Raises:
        TypeError: If `value` is no number.
        ValueError: If `value` is NaN, infinite or outside its bounds.
    """
    if isinstance(value, bool) or not isinstance(value, numbers.Real):
        raise TypeError(
            f"`{name}` must be a number. Received: {name}={value!r} of type "
            f"{type(value).__name__}."
        )
    if not math.isfinite(value):
        raise ValueError(f"`{name}` must be finite. Received: {name}={value}.")
    bounds = [
        (above, lambda v: v > above, "above"),
        (least, lambda v: v >= least, "at least"),
        (below, lambda v: v < below, "below"),
        (most, lambda v: v <= most, "at most"),
    ]
    broken = [
        f"{words} {bound}"
        for bound, holds, words in bounds
        if bound is not None and not holds(value)
    ]
    if broken:
        raise ValueError(
            f"`{name}` must be {' and '.join(broken)}. Received: {name}={value}."
        )
    return float(value)
