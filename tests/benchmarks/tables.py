"""Results of the rounds of a benchmark: medians, ratios by round, and a table."""

import statistics

from tests.benchmarks.machine import median_ratio

KERAS_BEST = "Keras' best"


def product_rates(results, flops):
    """GFLOP/s of the fastest yardstick, round by round; empty if none came through.

    Args:
        results: From `race`, of the yardsticks.
        flops: Floating-point operations of a product.
    """
    seconds = [_seconds(r) for r in results.values() if not r["error"]]
    return [flops / min(turn) / 1e9 for turn in zip(*seconds, strict=True)]


def summarize(results, *, flops, rates):
    """One row of figures for each contestant.

    Args:
        results: From `race`.
        flops: Floating-point operations of the matrix products of a window.
        rates: GFLOP/s of a big product, one a round; may be empty.

    Returns:
        List of dicts: `name`; `error`, or `None` and the rest: `median_ms`, `min_ms`,
        `max_ms` of a window; `speed`, `{peer: ratio}`, by how much it is faster than
        that peer, the median over rounds; `limit_share`, the part of a window's time
        that the products alone would take, or `None`; `first_s`; `peak_mib` and
        `imports_mib`; `loss` of the last round in nats.
    """
    good = {name: r for name, r in results.items() if not r["error"]}
    rivals = {name: _seconds(good[own]) for name, own in peers(good).items()}
    rows = []
    for name, result in results.items():
        rows.append({"name": name, "error": result["error"]})
        if not result["error"]:
            rows[-1].update(_figures(result, rivals, flops, rates))
    return rows


def peers(results):
    """`{title of a column: contestant}`: Keras' fastest variant, and other libraries.

    Args:
        results: From `race`, without those that failed.
    """

    def median(name):
        return statistics.median(_seconds(results[name]))

    chosen = {}
    keras = [name for name in results if name.startswith("keras")]
    if keras:
        chosen[KERAS_BEST] = min(keras, key=median)
    chosen.update({name: name for name in results if name.startswith(("torch", "jax"))})
    return chosen


def format_table(rows, results):
    """The table as text, a line for each contestant.

    Args:
        rows: From `summarize`.
        results: From `race`.
    """
    good = {name: r for name, r in results.items() if not r["error"]}
    chosen = peers(good)
    titles = "".join(f"{'x ' + title:>15}" for title in chosen)
    lines = [
        f"{'':21}{'median ms':>10}{'min':>9}{'max':>9}{titles}"
        f"{'limit':>8}{'first s':>9}{'peak MiB':>10}{'loss':>7}"
    ]
    for row in rows:
        if row["error"]:
            lines.append(f"{row['name']:21}failed: {row['error']}")
            continue
        times = f"{row['median_ms']:10.2f}{row['min_ms']:9.2f}{row['max_ms']:9.2f}"
        speeds = "".join(f"{row['speed'][title]:15.2f}" for title in chosen)
        share = row["limit_share"]
        limit = f"{'-':>8}" if share is None else f"{share:8.0%}"
        lines.append(
            f"{row['name']:21}{times}{speeds}{limit}{row['first_s']:9.2f}"
            f"{row['peak_mib']:10.0f}{row['loss']:7.3f}"
        )
    if KERAS_BEST in chosen:
        lines.append(f"{KERAS_BEST}: {chosen[KERAS_BEST]}")
    return "\n".join(lines)


def format_versions(results):
    """The machine and what ran on it, each named once, in one text."""
    found = {}
    for result in results.values():
        found.update(result.get("versions", {}))
    machine = found.pop("machine", "unknown machine")
    rest = [f"{name} {version}" for name, version in found.items()]
    return ", ".join([machine, *(r for r in rest if r not in machine)])


def format_rates(rates):
    """The speed of a big product, as text."""
    if not rates:
        return "speed of a big float32 product: not measured"
    return (
        f"a big float32 product: {statistics.median(rates):.0f} GFLOP/s "
        f"({min(rates):.0f} to {max(rates):.0f})"
    )


def _figures(result, rivals, flops, rates):
    own = _seconds(result)
    limits = [flops / (rate * 1e9) for rate in rates]
    return {
        "median_ms": 1e3 * statistics.median(own),
        "min_ms": 1e3 * min(own),
        "max_ms": 1e3 * max(own),
        "speed": {name: median_ratio(theirs, own) for name, theirs in rivals.items()},
        "limit_share": median_ratio(limits, own) if limits else None,
        "first_s": result["first"],
        "peak_mib": result["peak_mib"],
        "imports_mib": result["imports_mib"],
        "loss": result["rounds"][-1]["loss"],
    }


def _seconds(result):
    return [turn["seconds"] for turn in result["rounds"]]
