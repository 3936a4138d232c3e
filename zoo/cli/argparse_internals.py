"""What the command line uses of `argparse` that has no public name."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Iterable, Iterator
from typing import Any


def all_arguments(
    parser: Any, *, fill: Callable[[Any], None] | None = None
) -> Iterator[Any]:
    """All arguments of a parser and of its subparsers.

    Args:
        parser: `argparse.ArgumentParser`.
        fill: Function that adds the arguments of a parser that are still missing.
    """
    if fill is not None:
        fill(parser)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for child in action.choices.values():
                yield from all_arguments(child, fill=fill)
        else:
            yield action


def options_of(parser: argparse.ArgumentParser) -> Iterable[str]:
    """The options of a parser as they are typed, such as `--epochs`."""
    return parser._option_string_actions


def invalid_choice(message: str) -> tuple[str, list[str]] | None:
    """The invalid word and the valid choices, if an error message names them.

    Args:
        message: The message that a parser passes to its `error`.
    """
    found = re.search(r"invalid choice: '(.*)' \(choose from (.*)\)", message)
    if found is None:
        return None
    word, known = found.groups()
    return word, known.replace("'", "").split(", ")
