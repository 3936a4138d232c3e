"""Formats a metric with its unit, and on its second scale if it has one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple


def bits(nats: float) -> float:
    """Nats to bits: `nats / ln 2`."""
    return nats / math.log(2.0)


def perplexity(nats: float) -> float:
    """The number of equally likely words with the same cross-entropy: `exp(nats)`."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


class Second(NamedTuple):
    """A second scale on which a metric is shown.

    Fields:
        unit: Heading of the metric's own column.
        name: Heading of the second column.
        log: Its name in the logs of `fit`, without `val_`.
        of: Function that converts the metric's value.
        digits: Number of decimals to show.
    """

    unit: str
    name: str
    log: str
    of: Callable[[float], float]
    digits: int


SECOND = {
    "nats per character": Second("nats/char", "bits/char", "bpc", bits, 4),
    "nats per word": Second("nats/word", "perplexity", "ppl", perplexity, 2),
}


def headings(unit: str, name: str) -> list[str]:
    """Headings of the columns of a result: the metric's unit, and its second scale.

    Args:
        unit: Unit of the metric, or "".
        name: Name of the metric, used if it has no unit.
    """
    if unit in SECOND:
        return [SECOND[unit].unit, SECOND[unit].name]
    return [unit or name]


def cells(value: float, unit: str) -> list[str]:
    """A value as shown in the columns of `headings`.

    Args:
        value: Value of the metric.
        unit: Unit of the metric.
    """
    shown = [f"{value:.4g}" if abs(value) < 1e-3 else f"{value:.4f}"]
    if unit in SECOND:
        second = SECOND[unit]
        shown.append(f"{second.of(value):.{second.digits}f}")
    return shown


def worded(value: float, unit: str) -> str:
    """A value with its unit, and on its second scale."""
    pairs = zip(cells(value, unit), headings(unit, ""), strict=True)
    return ", ".join(f"{shown} {column}".rstrip() for shown, column in pairs)
