"""One table over all shapes: how many times as fast as each peer.

python -m tests.benchmarks.summary [runs/bench/bench.json] [--of 'bptt_keras*']
    [--beside torch jax] [--record --entry speed]

`make bench` prints it at its end; this prints it again from what that wrote, for other
contestants and beside other peers. The ratios are medians over the rounds. There is
none where a contestant or a peer failed, or was disturbed by other processes.

`--record` writes that table for the contestants that came to the end, with the gain of
the native kernel over the fused one, and what `published` lists beside it. It is the
machine that measured which has to record.
"""

import argparse
import fnmatch
import json
import statistics
from pathlib import Path

from tests.benchmarks import figures, tables
from tests.benchmarks.contestants import TABLE
from tests.benchmarks.shapes import Shape

TITLES = {
    "torch": "PyTorch",
    "torch-malloc": "PyTorch, malloc tuned",
    tables.KERAS_BEST: tables.KERAS_BEST,
    "jax": "JAX",
}
# The default, with one window a batch and with several, which pay off for small models.
CONTESTANTS = ("bptt_keras", "bptt_keras-16")


def format_summary(report, of=CONTESTANTS, beside=tuple(TITLES)):
    """The table as text, in Markdown.

    Args:
        report: What `suite` writes to `bench.json`.
        of: Names of contestants, or patterns, which have a line for each shape.
        beside: Names of peers, which have a column.
    """
    head = ["layer, rows, window", "contestant", "windows a batch", "kernel", "ms"]
    titles = [TITLES.get(name, name) for name in beside]
    lines = [_line([*head, *titles]), _line(["---"] * (len(head) + len(titles)))]
    notes = []
    for name, one in report["shapes"].items():
        lines += [_line(_cells(*line, beside)) for line in _lines(one, of)]
        notes += [f"{name}: {note}" for note in _notes(one)]
    return "\n".join([*lines, "", _origin(report), *notes])


def published(report, of=CONTESTANTS, beside=tuple(TITLES)):
    """`(values, table)` to record, of contestants that came to the end.

    Args:
        report: What `suite` writes to `bench.json`.
        of: As in `format_summary`.
        beside: As in `format_summary`.

    Returns:
        `values`: the rounds; `first_s_low` and `first_s_high` of the contestants and
        `first_s_torch`; `bfloat16_low` and `bfloat16_high`, how many times as fast it
        is as float32; and for each shape the `limit` of "bptt_keras". Those that were
        not measured are left out. `table`: titles and rows, without the columns that
        say nothing.
    """
    chosen = [
        (name, shape, row, _columns(one, shape, row, windows, beside))
        for name, one in report["shapes"].items()
        for shape, row, windows in _lines(one, of)
        if not row["error"]
    ]
    values = {"rounds": report["rounds"]}
    found = {
        "first_s": [row["first_s"] for *_, row, _ in chosen],
        "bfloat16": [
            row["speed"]["bptt_keras"]
            for *_, row, _ in chosen
            if row["name"] == "bptt_keras-bfloat16" and "bptt_keras" in row["speed"]
        ],
    }
    for key, numbers in found.items():
        if numbers:
            values |= {f"{key}_low": min(numbers), f"{key}_high": max(numbers)}
    torch = [_row(one, "torch") for one in report["shapes"].values()]
    if any(torch):
        values["first_s_torch"] = statistics.median(r["first_s"] for r in torch if r)
    for name, _, row, _ in chosen:
        if row["name"] == "bptt_keras" and row["limit_share"] is not None:
            key = f"limit_{name.replace('-', '_')}_percent"
            values[key] = 100 * row["limit_share"]
    return values, _table([columns for *_, columns in chosen])


def command(report):
    """The command that made a report."""
    return "make bench" + " BENCH=--quick" * report["quick"]


def _columns(one, shape, row, windows, beside):
    """`{title: cell}` of a contestant on one shape."""
    titles = {**TITLES, tables.KERAS_BEST: "Keras"}
    bfloat16 = row["name"].endswith("bfloat16")
    # Its speed beside the native kernel; the inverse is what that one gains.
    fused = _row(one, "bptt_keras-fused") if row["name"] == "bptt_keras" else None
    speed = fused["speed"].get("bptt_keras") if fused else None
    return {
        "layer, rows, window": _name(shape),
        "windows a batch": windows,
        "precision": "mixed_bfloat16" if bfloat16 else "float32",
        **{titles.get(p, p): _ratio(row["speed"].get(p), "") for p in beside},
        "fused kernel": _ratio(speed and 1 / speed, ""),
    }


def _table(lines):
    """Titles and rows, without the columns that say nothing."""
    plain = {"windows a batch": {1}, "precision": {"float32"}}
    head = [
        title
        for title in (lines[0] if lines else ())
        if {line[title] for line in lines} not in ({""}, plain.get(title))
    ]
    return head, [[str(line[title]) for title in head] for line in lines]


def _row(one, name):
    """The row of a contestant that came to the end, or None."""
    rows = (row for row in one["rows"] if row["name"] == name and not row["error"])
    return next(rows, None)


def _lines(one, of):
    """`(shape, row, windows of a batch)` of those contestants, on one shape."""
    shape = Shape(**one["shape"])
    for row in one["rows"]:
        windows = _windows_a_batch(row["name"], shape)
        if windows and any(fnmatch.fnmatchcase(row["name"], name) for name in of):
            yield shape, row, windows


def _ratio(speed, missing):
    return missing if speed is None else f"{speed:.2f}"


def _cells(shape, row, windows, beside):
    if row["error"]:
        return [_name(shape), row["name"], windows, "failed", "", *("" for _ in beside)]
    ratios = (_ratio(row["speed"].get(peer), "-") for peer in beside)
    milliseconds = f"{row['median_ms']:.2f}"
    return [_name(shape), row["name"], windows, row["kernel"], milliseconds, *ratios]


def _name(shape):
    layers = f"{shape.layers} of " if shape.layers > 1 else ""
    inputs = f" of {shape.features} features" if shape.features else ""
    kind = {"lstm": "LSTM", "gru": "GRU", "rnn": "SimpleRNN"}[shape.kind]
    return f"{layers}{kind}({shape.units}){inputs}, {shape.rows}, {shape.window}"


def _windows_a_batch(name, shape):
    """Windows of a batch; None if the shape has more than the contestant asks for."""
    own = TABLE[name][1].get("batch_windows", 1) if name in TABLE else 1
    if 1 < own <= shape.batch_windows:
        return None
    return max(own, shape.batch_windows) if name.startswith("bptt_keras") else 1


def _notes(one):
    everyone = {**one["yardsticks"], **one["results"]}
    failed = [
        f"{name} failed: {r['error']}" for name, r in everyone.items() if r["error"]
    ]
    return [*failed, *tables.format_load(everyone)]


def _origin(report):
    """Where the numbers come from, in a line."""
    shapes = report["shapes"].values()
    everyone = {
        name: result
        for one in shapes
        for name, result in {**one["yardsticks"], **one["results"]}.items()
    }
    rates = [rate for one in shapes for rate in one["product_gflops"]]
    product = f", products {statistics.median(rates):.0f} GFLOP/s" if rates else ""
    rounds = f"{report['rounds']} rounds in turn" + ", quick" * report["quick"]
    return f"{tables.format_versions(everyone)}{product}, {rounds}."


def _line(cells):
    return "| " + " | ".join(map(str, cells)) + " |"


def main(arguments=None):
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    written = Path("runs/bench/bench.json")
    parser.add_argument("report", nargs="?", type=Path, default=written)
    parser.add_argument("--of", nargs="+", default=CONTESTANTS, metavar="NAME")
    parser.add_argument("--beside", nargs="+", default=tuple(TITLES), metavar="PEER")
    figures.add_options(parser, "speed")
    args = parser.parse_args(arguments)
    report = json.loads(args.report.read_text(encoding="utf-8"))
    print(format_summary(report, args.of, args.beside))
    values, table = published(report, args.of, args.beside)
    figures.publish(args, values, table=table, command=command(report))


if __name__ == "__main__":
    main()
