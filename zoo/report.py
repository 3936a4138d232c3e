"""The result beside what it must be compared with."""

from __future__ import annotations

import math


def bits(nats: float) -> float:
    """Nats to bits: `nats / ln 2`."""
    return nats / math.log(2.0)


def result_rows(metadata: dict) -> list[tuple[str, float, float]]:
    """The result, the published references and the baselines, best last.

    Args:
        metadata: As in a preset's `metadata.json`.

    Returns:
        Rows `(name, nats per character, bits per character)`.
    """
    rows = {
        "this model": metadata["metric"]["value"],
        **metadata["references"],
        "bigram (order 2)": metadata["baselines"]["bigram"],
        "unigram (order 1)": metadata["baselines"]["unigram"],
        "uniform (chance)": metadata["baselines"]["uniform"],
    }
    return [(name, nats, bits(nats)) for name, nats in rows.items()]


def result_table(metadata: dict) -> str:
    """The rows of `result_rows` as aligned text with a heading."""
    data = metadata["data"]
    rows = result_rows(metadata)
    width = max(len(name) for name, _, _ in rows)
    heading = (
        f"{metadata['task']} on {data['name']}: {data['validation_characters']:,} "
        "validation characters"
    )
    lines = [heading, f"  {'':{width}}  nats/char  bits/char"]
    lines += [f"  {name:{width}}  {nats:9.4f}  {b:9.4f}" for name, nats, b in rows]
    return "\n".join(lines)
