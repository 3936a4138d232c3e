"""Complete training of one model on the same data: this library, Keras, PyTorch, JAX.

python -m tests.benchmarks.suite [--shapes lstm tiny] [--contestants 'keras*' torch]
    [--rounds 5] [--quick] [--torch PYTHON] [--jax PYTHON] [--out runs/bench]
    [--record --entry speed]

`make bench` sets up the environments of the others and runs this. The work: ids or
float features, recurrent layers, logits of 96 ids, cross-entropy, windows whose state
is carried and detached, clipping by the global norm 1, Adam. Every contestant is a
process that uses the usual interface of its library. This library and Keras run `fit`
with accuracy as a metric and a callback; the loops of PyTorch and JAX only add up the
loss.

Contestants take turns, one at a time. A table shows, for this library, the kernel that
ran the recurrence; the milliseconds per window; how many times faster a contestant is
than each peer (`x`, median over rounds, compared within each round); `limit`, the
fraction of that time that the matrix products alone would take at the speed of one big
float32 product measured in the same rounds; the seconds of the first update, with
building and compiling; the peak memory of the process; and the loss of the last round.
Then one table sums up all shapes, as `python -m tests.benchmarks.summary` does from the
file. All of it holds for the machine it was made on.

A turn is repeated, up to five times, if other processes took more than a tenth of a
core during it (on Linux; a repeated turn trains on). If they still do, the contestant
has no ratio, and the table says so.
"""

import argparse
import dataclasses
import json
import os
from pathlib import Path

from tests.benchmarks import figures, tables
from tests.benchmarks.contestants import (
    DEVICES,
    TABLE,
    choose,
    contestants,
    yardsticks,
)
from tests.benchmarks.rounds import race
from tests.benchmarks.shapes import PRODUCT_SIDE, SHAPES
from tests.benchmarks.summary import command, format_summary, published


def parse(arguments=None):
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument(
        "--contestants",
        nargs="+",
        default=["*"],
        metavar="NAME",
        help=f"names or patterns: {', '.join(TABLE)}",
    )
    parser.add_argument("--rounds", type=int, help="default: 5; 2 with --quick")
    parser.add_argument(
        "--quick", action="store_true", help="little work a turn: does it run at all?"
    )
    parser.add_argument("--device", choices=DEVICES, default="cpu", help="default: cpu")
    parser.add_argument(
        "--timeout", type=float, default=900, help="seconds for a turn (default: 900)"
    )
    for name in ("torch", "jax"):
        default = f".venv-bench-{name}/bin/python"
        parser.add_argument(
            f"--{name}", default=default, help=f"its Python (default: {default})"
        )
    parser.add_argument("--out", type=Path, default=Path("runs/bench"))
    figures.add_options(parser, "speed")
    args = parser.parse_args(arguments)
    args.rounds = args.rounds or (2 if args.quick else 5)
    try:
        args.contestants = choose(args.contestants)
    except ValueError as error:
        parser.error(str(error))
    return args


def measure(shape, args):
    """Runs all contestants on one shape.

    Returns:
        A dict, ready for JSON: `shape`, `product_gflops`, `rows`, `results`,
        `yardsticks`.
    """
    interpreters = {"torch": args.torch, "jax": args.jax}
    everyone = [
        *yardsticks(shape, args.device),
        *contestants(args.contestants, shape, interpreters, args.device),
    ]
    results = race(everyone, args.rounds, timeout=args.timeout)
    products = {n: results.pop(n) for n in list(results) if n.startswith("product-")}
    rates = tables.product_rates(products, 2 * PRODUCT_SIDE**3)
    return {
        "shape": dataclasses.asdict(shape),
        "flops": shape.flops,
        "product_gflops": rates,
        "rows": tables.summarize(results, flops=shape.flops, rates=rates),
        "results": results,
        "yardsticks": products,
    }


def main(arguments=None):
    """Prints a table for each shape; writes `bench.json` and `bench.png`."""
    args = parse(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    report = {
        "rounds": args.rounds,
        "quick": args.quick,
        "cores": os.cpu_count(),
        "device": args.device,
        "shapes": {},
    }
    for name in args.shapes:
        shape = SHAPES[name].quick() if args.quick else SHAPES[name]
        print(f"\n{name}: {shape}, {args.rounds} rounds in turn", flush=True)
        report["shapes"][name] = one = measure(shape, args)
        print(tables.format_versions({**one["yardsticks"], **one["results"]}))
        print(tables.format_rates(one["product_gflops"]))
        print(tables.format_table(one["rows"], one["results"]))
        print(*tables.format_load(one["yardsticks"]), sep="\n", flush=True)
        # After each shape, so that an interruption loses one shape at most.
        text = json.dumps(report, indent=1) + "\n"
        (args.out / "bench.json").write_text(text, encoding="utf-8")
    from tests.benchmarks.pictures import plot_shapes

    title = f"Training time of a window, {args.rounds} rounds in turn"
    plots = {name: one["rows"] for name, one in report["shapes"].items()}
    plot_shapes(args.out / "bench.png", plots, title)
    print("\nTimes the speed of peers, medians of the rounds:\n")
    print(format_summary(report))
    print(f"\nwritten: {args.out / 'bench.json'}, {args.out / 'bench.png'}")
    values, table = published(report)
    figures.publish(args, values, table=table, command=command(report))


if __name__ == "__main__":
    main()
