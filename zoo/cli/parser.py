"""The parser of the command line, which reports an error in one line."""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Callable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Any, NoReturn

from zoo.cli.argparse_internals import invalid_choice, options_of
from zoo.cli.commands import COMMANDS
from zoo.plain.suggestions import did_you_mean
from zoo.system.extras import tensorflow_version

EPILOG = """\
examples:
  bptt-zoo train char-lm --out runs/topics
  bptt-zoo train char-lm --dataset tiny-shakespeare --out runs/shakespeare
  bptt-zoo train char-lm --data my.txt --units 128 --epochs 10 --out runs/mine
  bptt-zoo train music --dataset jsb-chorales --data-dir DIR --out runs/jsb
  bptt-zoo train forecasting --data my.csv --horizon 12 --out runs/table
  bptt-zoo tune forecasting --data my.csv --trials 24 --budget 30 --out runs/search
  bptt-zoo train forecasting --data my.csv --recipe runs/search/best.json --out runs/b
  bptt-zoo resume runs/mine
  bptt-zoo generate runs/topics --prompt "The " --temperature 0.8
  bptt-zoo generate runs/jsb --out tune.mid
  bptt-zoo forecast runs/table --data my.csv
  bptt-zoo predict runs/series --data NEW.ts
  bptt-zoo evaluate runs/topics
  bptt-zoo report runs/topics
  bptt-zoo pull NAME --from https://HOST/PATH

where PRESET is asked for, give a name of `bptt-zoo list`, a preset folder, the --out
folder of a training, or an address: https://HOST/PATH, hf://OWNER/REPOSITORY
"""


class Parser(argparse.ArgumentParser):
    """An `argparse.ArgumentParser` whose arguments are added when they are needed.

    So only the module of the command that runs is imported.

    Args:
        fill: Function of the parser that adds them.
        **options: Arguments of `argparse.ArgumentParser`.
    """

    def __init__(self, fill: Callable[[Parser], None] | None = None, **options: Any):
        # No abbreviations: their meaning would change as options are added.
        super().__init__(**options, allow_abbrev=False)
        self._fill = fill
        self._groups: dict[str, Any] = {}

    def group(self, title: str, description: str | None = None) -> Any:
        """The argument group with a heading, created if it does not exist."""
        if title not in self._groups:
            self._groups[title] = self.add_argument_group(title, description)
        return self._groups[title]

    def fill(self) -> None:
        """Adds the arguments, if they have not been added."""
        fill, self._fill = self._fill, None
        if fill is not None:
            fill(self)

    def parse_known_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> tuple[Any, list[str]]:
        """Like that of `argparse`, but reports an unknown option immediately."""
        self.fill()
        namespace, rest = super().parse_known_args(args, namespace)
        # Reported here: argparse leaves it to the parent parser, which has different
        # options.
        options = [word.partition("=")[0] for word in rest if word.startswith("--")]
        if options:
            meant = did_you_mean(options[0], options_of(self))
            self.error(f"there is no option {options[0]}.{meant}")
        return namespace, rest

    def error(self, message: str) -> NoReturn:
        """Exits with a one-line message, which suggests a correction for a typo."""
        choice = invalid_choice(message)
        if choice is not None:
            message += "." + did_you_mean(*choice)
        self.exit(2, f"{self.prog}: {message} (see {self.prog} --help)\n")


def build_parser() -> Parser:
    """The parser, with one subparser per command."""
    parser = Parser(
        prog="bptt-zoo",
        description="Train and use models with truncated backpropagation through time.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--version",
        action="version",
        version=_versions(),
        help="show the versions of what runs, and exit",
    )
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    for name, words in COMMANDS.items():
        commands.add_parser(name, help=words, fill=_filling(name))
    return parser


def command_of(name: str) -> Any:
    """Imports the module of a command and returns it, a `zoo.cli.command.Command`."""
    module = importlib.import_module(f"zoo.cli.commands.{name.replace('-', '_')}")
    return module.COMMAND


def _filling(name: str) -> Callable[[Parser], None]:
    return lambda parser: command_of(name).fill(parser)


def _versions() -> str:
    """Versions of the packages, found without importing them."""
    own = {"tensorflow": tensorflow_version() or "not installed"}
    for name in ("bptt_keras", "keras"):
        try:
            own[name] = version(name)
        except PackageNotFoundError:
            own[name] = "not installed"
    own["python"] = sys.version.split()[0]
    order = ("bptt_keras", "tensorflow", "keras", "python")
    return ", ".join(f"{name} {own[name]}" for name in order)
