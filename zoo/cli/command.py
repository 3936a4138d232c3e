"""A command: a dataclass of its options, and its action."""

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
        description: Its help text, as a format string of `argparse`.
        options: Dataclass of its arguments; see `zoo.cli.options`.
        action: Function of the options that runs it. It returns an exit code, or None
            for 0.
    """

    description: str
    options: type
    action: Callable[[Any], int | None]

    def fill(self, parser: Parser) -> None:
        """Adds the command's arguments to its parser."""
        parser.description = self.description
        add_options(parser, self.options)

    def read(self, namespace: argparse.Namespace) -> Any:
        """The parsed options."""
        return read(self.options, namespace)
