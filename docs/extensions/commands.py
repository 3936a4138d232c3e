"""What the command `bptt-zoo` says of itself."""

import contextlib
import io
import os
from unittest import mock

from docstrings import literal

from zoo.cli.commands import COMMANDS
from zoo.cli.main import main
from zoo.tasks import TASKS


def commands():
    """The help of every command, and of the training of every task."""
    lines = ["", "Installed with the extra ``zoo``.", *help_of()]
    for name in COMMANDS:
        lines += ["", f"bptt-zoo {name}", "-" * (9 + len(name)), *help_of(name)]
        if name == "train":
            for task in sorted(TASKS):
                heading = f"bptt-zoo train {task}"
                lines += ["", heading, "~" * len(heading), *help_of(name, task)]
    return "\n".join(lines)


def help_of(*command):
    """What `bptt-zoo COMMAND --help` prints, as a literal block."""
    told = io.StringIO()
    width = mock.patch.dict(os.environ, {"COLUMNS": "88"})
    with width, contextlib.redirect_stdout(told):
        status = main([*command, "--help"])
    if status != 0:
        raise RuntimeError(f"`bptt-zoo {' '.join(command)} --help` ended with {status}")
    return literal(told.getvalue().rstrip().split("\n"))
