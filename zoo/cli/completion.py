"""The script that completes `bptt-zoo` commands in a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from zoo.cli.argparse_internals import all_arguments
from zoo.cli.parser import Parser
from zoo.store.index import own_index

# From `_dir` shtab sees that a folder may follow, to which bash then adds a slash.
_NAMES = "_bptt_zoo_preset_or_dir"


def script(parser: Parser, shell: str) -> str:
    """Makes the completion script.

    The words that complete an argument follow from its metavar: FILE, PATH, DIR, RUN or
    PRESET; from its choices; or from its attribute `known`, some words that it takes.

    Args:
        parser: Parser of the command line. Its arguments get the attribute `complete`,
            which shtab reads.
        shell: `bash`, `zsh` or `tcsh`.
    """
    # shtab: put off, as only this command needs it.
    import shtab

    names = sorted(own_index().presets)
    bash = [_in_bash(_NAMES, names, "compgen -d")]
    for number, action in enumerate(all_arguments(parser, fill=Parser.fill)):
        takes = set((action.metavar or "").replace(".", "|").split("|"))
        if action.choices is not None:
            continue
        if "PRESET" in takes:
            action.complete = {"bash": _NAMES, "zsh": _NAMES, "tcsh": "d"}
        elif takes & {"DIR", "RUN"}:
            action.complete = shtab.DIRECTORY
        elif takes & {"FILE", "PATH"}:
            action.complete = shtab.FILE
        elif getattr(action, "known", None):
            name, words = f"_bptt_zoo_words_{number}", f"({' '.join(action.known)})"
            bash.append(_in_bash(name, action.known))
            action.complete = {"bash": name, "zsh": words, "tcsh": words}
    zsh = f"{_NAMES}() {{\n  compadd -- {' '.join(names)}\n  _files -/\n}}"
    preamble: Any = {"bash": "\n".join(bash), "zsh": zsh}
    return shtab.complete(parser, shell=shell, preamble=preamble)


def _in_bash(name: str, words: Sequence[str], *more: str) -> str:
    """A bash function that prints the words that start with its argument."""
    ways = [f"compgen -W {shlex.quote(' '.join(words))}", *more]
    return "\n".join([f"{name}() {{", *(f'  {way} -- "$1"' for way in ways), "}"])
