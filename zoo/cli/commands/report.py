"""`bptt-zoo report`: writes the HTML report of a training."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from zoo.cli.command import Command
from zoo.cli.options import Keyword
from zoo.cli.shared import RunFolder
from zoo.system.output import output_file
from zoo.system.quiet import import_tensorflow


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of this command."""

    run: RunFolder
    out: Annotated[
        str | None, Keyword("the page (default: RUN/report.html)", "FILE")
    ] = None


def report(options: Options) -> None:
    """Writes the HTML report of a training run and prints where it is."""
    if options.out is not None:
        output_file(options.out, (".html", ".htm"))
    import_tensorflow()
    # Put off: it imports TensorFlow.
    from zoo.runs.run_report import write_run_report

    print(write_run_report(options.run, options.out))


COMMAND = Command(
    "Writes a self-contained page: curves, gradients and clipping, how the gradient "
    "flows over the epochs, a sample, the configuration. It works while the training "
    "is still running, too.",
    Options,
    report,
)
