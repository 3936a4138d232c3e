"""Checks of numbers that users pass as arguments."""

from __future__ import annotations

import math
import numbers
import operator
from typing import Any


def is_whole(value: Any) -> bool:
    """Whether a value is an integer; booleans are not."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def is_real(value: Any) -> bool:
    """Whether a value is a real number; booleans are not."""
    return isinstance(value, numbers.Real) and not isinstance(value, bool)


def whole(
    name: str, value: Any, *, least: int = 1, unit: str | None = "timesteps"
) -> int:
    """`value` as an `int`, after a check.

    Args:
        name: Name of the argument, for the message.
        value: What the user gave.
        least: Smallest value that is allowed.
        unit: What is counted, for the message, or `None`.

    Raises:
        TypeError: If `value` is not an integer.
        ValueError: If `value` is less than `least`.
    """
    if not is_whole(value):
        what = "an integer" if unit is None else f"an integer number of {unit}"
        raise TypeError(
            f"`{name}` must be {what}. Received: {name}={value!r} of type "
            f"{type(value).__name__}."
        )
    if value < least:
        bound = f"{least}" if unit is None else f"{least} {unit}"
        raise ValueError(
            f"`{name}` must be at least {bound}. Received: {name}={value}."
        )
    return int(value)


def real(
    name: str,
    value: Any,
    *,
    above: float | None = None,
    least: float | None = None,
    below: float | None = None,
    most: float | None = None,
) -> float:
    """`value` as a `float`, after a check that it is finite and within its bounds.

    Args:
        name: Name of the argument, for the message.
        value: What the user gave.
        above: Bound that must be exceeded, or `None`.
        least: Smallest value that is allowed, or `None`.
        below: Bound that must not be reached, or `None`.
        most: Largest value that is allowed, or `None`.

    Raises:
        TypeError: If `value` is not a number.
        ValueError: If `value` is NaN, infinite or outside its bounds.
    """
    if not is_real(value):
        raise TypeError(
            f"`{name}` must be a number. Received: {name}={value!r} of type "
            f"{type(value).__name__}."
        )
    if not math.isfinite(value):
        raise ValueError(f"`{name}` must be finite. Received: {name}={value}.")
    bounds = [
        (above, operator.gt, "above"),
        (least, operator.ge, "at least"),
        (below, operator.lt, "below"),
        (most, operator.le, "at most"),
    ]
    broken = [
        f"{words} {bound}"
        for bound, holds, words in bounds
        if bound is not None and not holds(value, bound)
    ]
    if broken:
        raise ValueError(
            f"`{name}` must be {' and '.join(broken)}. Received: {name}={value}."
        )
    return float(value)
