"""`bptt-zoo results`: evaluates presets again."""

from __future__ import annotations

import dataclasses
import sys
from typing import Annotated

from zoo.cli.command import Command
from zoo.cli.options import Keyword, Positional
from zoo.cli.printing import print_json
from zoo.cli.shared import AsJson
from zoo.store.index import list_presets
from zoo.system.errors import ZooError
from zoo.system.files import write_text
from zoo.system.output import output_file
from zoo.system.quiet import import_tensorflow


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of this command."""

    presets: Annotated[
        list[str],
        Positional("which ones (default: all that `bptt-zoo list` shows)", "PRESET"),
    ]
    data_dir: Annotated[
        str | None, Keyword("folder with local copies of the files", "DIR")
    ] = None
    csv: Annotated[str | None, Keyword("write the table as CSV as well", "FILE")] = None
    json: AsJson = False


def results(options: Options) -> int:
    """Evaluates presets again and prints a table; returns 1 if one of them failed."""
    import_tensorflow()
    # Put off: it imports TensorFlow.
    from zoo.runs.results import measure, to_csv, to_markdown

    if options.csv is not None:
        output_file(options.csv, (".csv",), option="--csv")
    names = options.presets or [preset.name for preset in list_presets()]
    rows, failed = [], 0
    for name in names:
        print(f"measuring {name}", file=sys.stderr)
        try:
            rows.append(measure(name, options.data_dir))
        except ZooError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            failed = 1
    if options.csv is not None:
        write_text(options.csv, to_csv(rows))
    if options.json:
        print_json(rows)
    else:
        print(to_markdown(rows), end="")
    return failed


COMMAND = Command(
    "Evaluates presets from their files and prints a Markdown table: value, mean over "
    "seeds, published numbers, levels without learning.",
    Options,
    results,
)
