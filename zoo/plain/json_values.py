"""What values of a JSON file are."""

from __future__ import annotations

import math
import unicodedata
from typing import TypeGuard


def is_number(value: object) -> TypeGuard[float]:
    """Whether a value of a JSON file is a finite number."""
    if not isinstance(value, int | float) or isinstance(value, bool):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # an integer that no float holds
        return False


def are_numbers(values: object, least: float = -math.inf) -> TypeGuard[list[float]]:
    """Whether a value of a JSON file is a list of finite numbers >= `least`."""
    return isinstance(values, list) and all(
        is_number(value) and value >= least for value in values
    )


def are_texts(values: object) -> TypeGuard[list[str]]:
    """Whether a value of a JSON file is a list of texts."""
    return isinstance(values, list) and all(isinstance(v, str) for v in values)


def require_plain(value: object) -> None:
    """Refuses text that does more to a terminal than to be shown, or cannot be shown.

    Raises:
        ValueError: If a string in a value of JSON has a control character, or half a
            pair of surrogates.
    """
    if isinstance(value, str):
        if any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
            raise ValueError(f"{value!r:.100} has a control character")
    elif isinstance(value, dict):
        for item in value.items():
            require_plain(list(item))
    elif isinstance(value, list):
        for item in value:
            require_plain(item)
