"""The numbers that the documentation publishes, in one file that benchmarks write.

python -m tests.benchmarks.figures [--check]

A benchmark with `--record` writes what it has measured to `docs/figures.json`:

    {name: {"command": "python -m tests.benchmarks.session", "date": "2026-11-30",
            "machine": "2-core AMD EPYC with AVX-512", "values": {key: number or text},
            "table": {"head": [title, ...], "rows": [[cell, ...], ...]}}}

where only some have a `table`. This command then writes the numbers into the Markdown
files of the project, wherever they have markers (see `markers`). With `--check` it
writes nothing, names the places that are not current, and ends with status 1 if there
are any.
"""

import argparse
import datetime
import json
import sys
from pathlib import Path

from tests.benchmarks import machine
from tests.benchmarks.markers import MarkerError, update
from tests.project.files import ROOT
from zoo.system.files import write_text

FIGURES = ROOT / "docs" / "figures.json"
# Digits that are kept of a measured number; a marker says how many are shown.
DIGITS = 4


def read(path=FIGURES):
    """All entries, `{name: entry}`; none if there is no file yet."""
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def record(name, values, *, command, table=None, path=FIGURES):
    """Writes one entry, measured on this machine today; the others stay.

    Args:
        name: Of the entry; one of the same name is replaced.
        values: `{key: number or text}`.
        command: What measured them.
        table: `(head, rows)`, titles and lists of cells, or None.
        path: The file; it need not exist.
    """
    entry = {
        "command": command,
        "date": datetime.date.today().isoformat(),
        "machine": machine.name_machine(),
        "values": {key: _rounded(value) for key, value in values.items()},
    }
    if table is not None:
        entry["table"] = dict(zip(("head", "rows"), table, strict=True))
    entries = {**read(path), name: entry}
    text = json.dumps(entries, indent=2, sort_keys=True, ensure_ascii=False)
    write_text(path, text + "\n")


def _rounded(value):
    return float(f"{value:.{DIGITS}g}") if isinstance(value, float) else value


def add_options(parser, script):
    """Adds `--record` and `--entry` to the command line of a benchmark.

    Args:
        parser: Its parser.
        script: Its name, and that of its entry unless the user gives another.
    """
    parser.add_argument(
        "--record",
        nargs="?",
        type=Path,
        const=FIGURES,
        metavar="FILE",
        help="write the numbers that are published here (default: docs/figures.json)",
    )
    parser.add_argument(
        "--entry", metavar="NAME", help=f"name there (default: {script})"
    )
    parser.set_defaults(script=script)


def publish(args, values, *, table=None, name=None, command=None):
    """Records what a benchmark has measured, if its command line asks for it.

    Args:
        args: The command line, parsed, with the options of `add_options`.
        values: `{key: number or text}`.
        table: `(head, rows)`, or None.
        name: Of the entry, if it is not that of the script.
        command: To record in place of this process's own, which must not be one that
            says where files are.

    Raises:
        SystemExit: If other processes disturbed the measurement.
    """
    if args.record is None:
        return
    if machine.disturbed:
        names = ", ".join(sorted(machine.disturbed))
        sys.exit(f"Not recorded: other processes took time beside {names}.")
    if command is None:
        words = [f"python -m tests.benchmarks.{args.script}", *sys.argv[1:]]
        own = {"--record", str(args.record), f"--record={args.record}"}
        command = " ".join(word for word in words if word not in own)
    name = args.entry or name or args.script
    record(name, values, command=command, table=table, path=args.record)


def markdown_files(root=ROOT):
    """The files that may have markers."""
    files = [root / "README.md", root / "CONTRIBUTING.md"]
    for folder in ("docs", "tutorials"):
        files += sorted((root / folder).rglob("*.md"))
    return [path for path in files if path.is_file()]


def main(arguments=None, root=ROOT):
    """Writes the numbers into the documentation, or checks them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing")
    args = parser.parse_args(arguments)
    entries, status = read(root / FIGURES.relative_to(ROOT)), 0
    for path in markdown_files(root):
        name, text = path.relative_to(root), path.read_text(encoding="utf-8")
        try:
            new, changes = update(text, entries)
        except MarkerError as error:
            sys.exit(f"{name}:{error.line}: {error}")
        for line, what in changes:
            print(f"{name}:{line}: {what}")
        if args.check:
            status |= bool(changes)
        elif changes:
            write_text(path, new)
    return status


if __name__ == "__main__":
    sys.exit(main())
