"""The result beside what it must be compared with."""

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


def derived(logs: dict, metric) -> dict[str, float]:
    """A metric's second scale, for logs of `fit`.

    Args:
        logs: Logs, in which the metric may be missing.
        metric: A task's `Metric`.

    Returns:
        As many values as `logs` has of the metric; none for a metric of one scale.
    """
    second = SECOND.get(metric.unit)
    return {
        prefix + second.log: second.of(metric.factor * logs[prefix + metric.log])
        for prefix in ("", "val_")
        if second and prefix + metric.log in logs
    }


def result_rows(metadata: dict) -> list[tuple[str, float]]:
    """The result, the published references and the baselines.

    Args:
        metadata: As in a preset's `metadata.json`.

    Returns:
        Rows `(name, value of the metric)`.
    """
    rows = {
        "this model": metadata["metric"]["value"],
        **metadata["references"],
        **metadata["baselines"],
    }
    return list(rows.items())


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
    """A value as it stands in the columns of `headings`.

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


def result_table(metadata: dict) -> str:
    """The rows of `result_rows` as aligned text with a heading."""
    metric = metadata["metric"]
    columns = headings(metric["unit"], metric["name"])
    rows = [(name, *cells(v, metric["unit"])) for name, v in result_rows(metadata)]
    width = max(len(name) for name, *_ in rows)
    sizes = [max(len(c), *(len(r[i + 1]) for r in rows)) for i, c in enumerate(columns)]
    heading = (
        f"{metadata['task']} on {metadata['data']['name']}: {metric['name']}, "
        f"{metric['part']} part"
    )

    def line(name, values):
        padded = (f"{v:>{s}}" for v, s in zip(values, sizes, strict=True))
        return f"  {name:{width}}  " + "  ".join(padded)

    return "\n".join([heading, line("", columns), *(line(n, v) for n, *v in rows)])


def verdict(metadata: dict) -> str:
    """A sentence where a simple rule does better than the model, or "".

    Args:
        metadata: As in a preset's `metadata.json`.

    Example:
        from zoo.runs.report import verdict

        metric = {"name": "accuracy", "unit": "", "value": 0.5}
        metadata = {"task": "classification", "metric": metric}
        metadata["baselines"] = {"chance": 0.25, "nearest neighbour": 0.75}
        assert verdict(metadata) == (
            "A simple rule does better: nearest neighbour 0.7500 (this model 0.5000)."
        )
    """
    from zoo.tasks import TASKS

    metric = metadata["metric"]
    better = TASKS[metadata["task"]].METRIC.better
    name, value = "", metric["value"]
    for rule, level in metadata["baselines"].items():
        if better(level, value):
            name, value = rule, level
    shown = cells(value, metric["unit"])[0], cells(metric["value"], metric["unit"])[0]
    # A model that is the rule itself differs from it by rounding.
    if not name or shown[0] == shown[1]:
        return ""
    return f"A simple rule does better: {name} {shown[0]} (this model {shown[1]})."
