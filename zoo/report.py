"""The result beside what it must be compared with."""

from __future__ import annotations

import math


def bits(nats: float) -> float:
    """Nats to bits: `nats / ln 2`."""
    return nats / math.log(2.0)


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


def headings(metadata: dict) -> list[str]:
    """Names of the columns beside a result: the metric's unit, and bits for nats."""
    unit = metadata["metric"]["unit"]
    if unit == "nats per character":
        return ["nats/char", "bits/char"]
    return [unit or metadata["metric"]["name"]]


def cells(value: float, count: int) -> list[str]:
    """A value in one column, or in nats and bits."""
    return [f"{v:.4g}" if abs(v) < 1e-3 else f"{v:.4f}" for v in (value, bits(value))][
        :count
    ]


def result_table(metadata: dict) -> str:
    """The rows of `result_rows` as aligned text with a heading."""
    columns = headings(metadata)
    rows = [(name, *cells(v, len(columns))) for name, v in result_rows(metadata)]
    width = max(len(name) for name, *_ in rows)
    sizes = [max(len(c), *(len(r[i + 1]) for r in rows)) for i, c in enumerate(columns)]
    metric = metadata["metric"]
    heading = (
        f"{metadata['task']} on {metadata['data']['name']}: {metric['name']}, "
        f"{metric['part']} part"
    )

    def line(name, values):
        padded = (f"{v:>{s}}" for v, s in zip(values, sizes, strict=True))
        return f"  {name:{width}}  " + "  ".join(padded)

    return "\n".join([heading, line("", columns), *(line(n, v) for n, *v in rows)])
