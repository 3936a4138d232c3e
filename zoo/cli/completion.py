"""The script that completes what is typed after `bptt-zoo` in a shell."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import Any

from zoo.cli.argparse_internals import all_arguments
from zoo.cli.parser import Parser
from zoo.store.index import own_index

# By `_dir` shtab sees that a folder may come, which bash then ends with a slash.
_NAMES = "_bptt_zoo_preset_or_dir"


def script(parser: Parser, shell: str) -> str:
    """The script.

    What an argument takes is told by its metavar: FILE, PATH, DIR, RUN or PRESET; by
    its choices; or by an attribute `known`, words that are some of what it takes.

    Args:
        parser: Of the command line. Its arguments get the attribute `complete`, by
            which shtab knows all that.
        shell: `bash`, `zsh` or `tcsh`.
    """
    # Put off: a package of the extra.
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
    """A function that prints those of some words that begin like its argument."""
    ways = [f"compgen -W {shlex.quote(' '.join(words))}", *more]
    return "\n".join([f"{name}() {{", *(f'  {way} -- "$1"' for way in ways), "}"])
