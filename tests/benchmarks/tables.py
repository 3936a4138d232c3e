"""Results of the rounds of a benchmark: medians, ratios by round, and a table.

Times of a contestant that other processes disturbed are shown, but are part of no
ratio.
"""

import statistics

from tests.benchmarks import load
from tests.benchmarks.machine import median_ratio

KERAS_BEST = "Keras' best"
# Peers, beside the fastest variant of Keras: the names start like this, or are equal.
LIBRARIES, OURS = ("torch", "jax"), "bptt_keras"


def product_rates(results, flops):
    """GFLOP/s of the fastest yardstick, round by round.

    Empty if none came through undisturbed.

    Args:
        results: From `race`, of the yardsticks.
        flops: Floating-point operations of a product.
    """
    seconds = [_seconds(r) for r in results.values() if comparable(r)]
    return [flops / min(turn) / 1e9 for turn in zip(*seconds, strict=True)]


def summarize(results, *, flops, rates):
    """One row of figures for each contestant.

    Args:
        results: From `race`.
        flops: Floating-point operations of the matrix products of a window.
        rates: GFLOP/s of a big product, one a round; may be empty.

    Returns:
        List of dicts: `name`; `error`, or `None` and the rest: `kernel`, what runs the
        recurrence, or ""; `median_ms`, `min_ms`, `max_ms` of a window; `others`, the
        most cores that other processes took in one of its turns, or `None` if unknown;
        `speed`, `{peer: ratio}`, by how much it is faster than that peer, the median
        over rounds, empty if disturbed; `limit_share`, the part of a window's time that
        the products alone would take, or `None`; `first_s`; `peak_mib` and
        `imports_mib`; `loss` of the last round in nats.
    """
    rivals = {name: _seconds(results[own]) for name, own in peers(results).items()}
    rows = []
    for name, result in results.items():
        rows.append({"name": name, "error": result["error"]})
        if not result["error"]:
            rows[-1].update(_figures(result, rivals, flops, rates))
    return rows


def peers(results):
    """`{title of a column: contestant}`, of those that can be compared with.

    They are other libraries, Keras' fastest variant, and this library as it is by
    default.

    Args:
        results: From `race`.
    """

    def median(name):
        return statistics.median(_seconds(results[name]))

    chosen = {}
    keras = [n for n, r in results.items() if n.startswith("keras") and not r["error"]]
    # One that was disturbed might be the fastest.
    if keras and all(comparable(results[name]) for name in keras):
        chosen[KERAS_BEST] = min(keras, key=median)
    for name, result in results.items():
        if comparable(result) and (name.startswith(LIBRARIES) or name == OURS):
            chosen[name] = name
    return chosen


def comparable(result):
    """Whether a contestant came to the end, and undisturbed."""
    return not result["error"] and not load.disturbs(_others(result))


def format_table(rows, results):
    """The table as text, a line for each contestant.

    Args:
        rows: From `summarize`.
        results: From `race`.
    """
    chosen = peers(results)
    titles = "".join(f"  x {title}" for title in chosen)
    lines = [
        f"{'':21}{'kernel':19}{'median ms':>10}{'min':>9}{'max':>9}{titles}"
        f"{'limit':>8}{'first s':>9}{'peak MiB':>10}{'loss':>7}"
    ]
    for row in rows:
        if row["error"]:
            lines.append(f"{row['name']:21}failed: {row['error']}")
            continue
        times = f"{row['median_ms']:10.2f}{row['min_ms']:9.2f}{row['max_ms']:9.2f}"
        speeds = "".join(
            f"{_number(row['speed'].get(title), '.2f'):>{len(title) + 4}}"
            for title in chosen
        )
        limit = _number(row["limit_share"], ".0%")
        lines.append(
            f"{row['name']:21}{row['kernel']:19}{times}{speeds}{limit:>8}"
            f"{row['first_s']:9.2f}{row['peak_mib']:10.0f}{row['loss']:7.3f}"
        )
    if KERAS_BEST in chosen:
        lines.append(f"{KERAS_BEST}: {chosen[KERAS_BEST]}")
    return "\n".join([*lines, *format_load(results)])


def format_load(results):
    """Lines that say for which contestants there are no ratios, and why.

    Args:
        results: From `race`.
    """
    came = {name: r for name, r in results.items() if not r["error"]}
    lines = []
    for name, result in came.items():
        if not comparable(result):
            turns = [turn["others"] for turn in result["rounds"]]
            lines.append(
                f"no ratio for {name}: in {sum(map(load.disturbs, turns))} of its "
                f"{len(turns)} turns, even repeated, other processes took more "
                f"than {load.LIMIT:g} cores, up to {max(turns):.2f}"
            )
            if name.startswith("keras"):
                lines.append(f"nor for {KERAS_BEST}, which may be {name}")
    if any(_others(result) is None for result in came.values()):
        lines.append("what other processes took is unknown: this system does not tell")
    return lines


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
    undisturbed = comparable(result)
    limits = [flops / (rate * 1e9) for rate in rates]
    kernel = (result.get(key) for key in ("kernel", "kernel_set"))
    return {
        "kernel": " ".join(filter(None, kernel)),
        "others": _others(result),
        "median_ms": 1e3 * statistics.median(own),
        "min_ms": 1e3 * min(own),
        "max_ms": 1e3 * max(own),
        "speed": {
            name: median_ratio(theirs, own)
            for name, theirs in rivals.items()
            if undisturbed
        },
        "limit_share": median_ratio(limits, own) if limits and undisturbed else None,
        "first_s": result["first"],
        "peak_mib": result["peak_mib"],
        "imports_mib": result["imports_mib"],
        "loss": result["rounds"][-1]["loss"],
    }


def _seconds(result):
    return [turn["seconds"] for turn in result["rounds"]]


def _others(result):
    known = [turn["others"] for turn in result["rounds"]]
    return None if None in known else max(known)


def _number(value, style):
    return "-" if value is None else format(value, style)
