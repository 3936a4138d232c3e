"""Checks the types of values from a JSON file."""

from __future__ import annotations

import math
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value of a JSON file is a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that is too large for a float
        return False


def are_numbers(values: object, least: float = -math.inf) -> TypeGuard[list[float]]:
    """Whether a value of a JSON file is a list of finite numbers >= `least`."""
    return isinstance(values, list) and all(
        is_number(value) and value >= least for value in values
    )


def are_texts(values: object) -> TypeGuard[list[str]]:
    """Whether a value of a JSON file is a list of texts."""
    return isinstance(values, list) and all(isinstance(v, str) for v in values)
