"""`bptt-zoo completion`: prints a script for completion in a shell."""

from __future__ import annotations

import dataclasses
from typing import Annotated, Literal

from zoo.cli.command import Command
from zoo.cli.completion import script
from zoo.cli.options import Positional
from zoo.cli.parser import build_parser


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of this command."""

    shell: Annotated[Literal["bash", "zsh", "tcsh"], Positional(None)]


def completion(options: Options) -> None:
    """Prints a script that completes commands, options and names in a shell."""
    print(script(build_parser(), options.shell))


COMMAND = Command(
    "Prints a script for your shell. For bash: bptt-zoo completion bash > "
    "~/.local/share/bash-completion/completions/bptt-zoo; for zsh a line in ~/.zshrc, "
    'after compinit: eval "$(bptt-zoo completion zsh)"',
    Options,
    completion,
)
