"""Arguments that several commands share."""

from __future__ import annotations

from typing import Annotated, Literal

from zoo.cli.options import Keyword, Positional

PresetName = Annotated[
    str,
    Positional(
        "a name of `bptt-zoo list`, a preset folder, the --out of a training, or an "
        "address",
        "PRESET",
    ),
]
RunFolder = Annotated[str, Positional("the --out folder of a training", "RUN")]
AsJson = Annotated[bool, Keyword("print JSON")]
Jit = Annotated[
    Literal["auto", "on", "off"],
    Keyword("compile with XLA; auto: wherever it compiles (default)", group="recipe"),
]
# Value on the command line -> value for `zoo.runs`.
JIT: dict[str, bool | str] = {"auto": "auto", "on": True, "off": False}
