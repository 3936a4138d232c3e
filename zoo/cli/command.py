"""What a command is: a dataclass of its options, and its action."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable
from typing import Any

from zoo.cli.options import add_options, read
from zoo.cli.parser import Parser


@dataclasses.dataclass(frozen=True)
class Command:
    """A command of `bptt-zoo`.

    Args:
        description: What `--help` says of it, as `argparse` formats it.
        options: Dataclass of its arguments; see `zoo.cli.options`.
        action: Function of the options that does it. It returns an exit code, or None
            for 0.
    """

    description: str
    options: type
    action: Callable[[Any], int | None]

    def fill(self, parser: Parser) -> None:
        """Adds its arguments to its parser."""
        parser.description = self.description
        add_options(parser, self.options)

    def read(self, namespace: argparse.Namespace) -> Any:
        """The options that were parsed."""
        return read(self.options, namespace)
