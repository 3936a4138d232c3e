"""One table over all shapes: how many times as fast as each peer.

python -m tests.benchmarks.summary [runs/bench/bench.json] [--of 'bptt_keras*']
    [--beside torch jax]

`make bench` prints it at its end; this prints it again from what that wrote, for other
contestants and beside other peers. The ratios are medians over the rounds. There is
none where a contestant or a peer failed, or was disturbed by other processes.
"""

import argparse
import fnmatch
import json
import statistics
from pathlib import Path

from tests.benchmarks import tables
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
        shape = Shape(**one["shape"])
        for row in one["rows"]:
            if any(fnmatch.fnmatchcase(row["name"], pattern) for pattern in of):
                windows = _windows_a_batch(row["name"], shape)
                if windows:
                    lines.append(_line(_cells(shape, row, windows, beside)))
        notes += [f"{name}: {note}" for note in _notes(one)]
    return "\n".join([*lines, "", _origin(report), *notes])


def _cells(shape, row, windows, beside):
    if row["error"]:
        return [_name(shape), row["name"], windows, "failed", "", *("" for _ in beside)]
    speeds = (row["speed"].get(peer) for peer in beside)
    ratios = ("-" if speed is None else f"{speed:.2f}" for speed in speeds)
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
    args = parser.parse_args(arguments)
    report = json.loads(args.report.read_text(encoding="utf-8"))
    print(format_summary(report, args.of, args.beside))


if __name__ == "__main__":
    main()
