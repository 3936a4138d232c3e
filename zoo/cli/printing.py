"""Prints JSON, and formats sizes."""

from __future__ import annotations

import json
from typing import Any


def print_json(value: Any) -> None:
    """Prints a value as JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False))


def megabytes(size: int) -> str:
    """A size in bytes, in words."""
    return f"{size / 1e6:,.1f} MB"
