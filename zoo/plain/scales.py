"""A metric as it is shown: with its unit, and on a second scale where it has one."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple


def bits(nats: float) -> float:
    """Nats to bits: `nats / ln 2`."""
    return nats / math.log(2.0)


def perplexity(nats: float) -> float:
    """Among how many equally likely words one would guess as badly: `exp(nats)`."""
    try:
        return math.exp(nats)
    except OverflowError:
        return math.inf


class Second(NamedTuple):
    """A second scale that a metric is shown on.

    Fields:
        unit: Heading of the metric's own column.
        name: Heading of the second one.
        log: Its name in the logs of `fit`, without `val_`.
        of: Function of the metric's value.
        digits: Decimals that are shown.
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
    """Names of the columns beside a result: the metric's unit, and its second scale.

    Args:
        unit: The metric's, or "".
        name: The metric's, for one without a unit.
    """
    if unit in SECOND:
        return [SECOND[unit].unit, SECOND[unit].name]
    return [unit or name]


def cells(value: float, unit: str) -> list[str]:
    """A value as it is shown in the columns of `headings`.

    Args:
        value: Of the metric.
        unit: The metric's.
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
