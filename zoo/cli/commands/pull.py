"""`bptt-zoo pull`: downloads a preset."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from zoo.cli.command import Command
from zoo.cli.options import Keyword, Positional
from zoo.cli.printing import print_json
from zoo.cli.shared import AsJson
from zoo.store import hub
from zoo.store.manifest import FILES, copy_preset
from zoo.system.errors import UserError


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of this command."""

    preset: Annotated[
        str,
        Positional(
            "a name, https://HOST/PATH/NAME, or hf://OWNER/REPOSITORY[/FOLDER]"
            "[@REVISION]",
            "PRESET",
        ),
    ]
    server: Annotated[
        str | None,
        Keyword(
            "release folder that has it (default: $BPTT_ZOO_MIRRORS, in order); not "
            "asked for what came with the package",
            "URL",
            "--from",
        ),
    ] = None
    sha256: Annotated[
        str | None, Keyword("checksum that its manifest must have", "HEX")
    ] = None
    out: Annotated[str | None, Keyword("copy it to a new folder as well", "DIR")] = None
    json: AsJson = False


def pull(options: Options) -> None:
    """Downloads and verifies a preset, and prints where it is."""
    mirrors = [] if options.server is None else [options.server]
    folder = hub.locate(options.preset, sha256=options.sha256, mirrors=mirrors)
    if options.out is not None:
        out = Path(options.out)
        if out.exists():
            raise UserError(f"{out} is there already. Name a new folder with --out.")
        copy_preset(folder, out)
        folder = out
    if options.json:
        files = {name: (folder / name).stat().st_size for name in FILES}
        print_json({"preset": options.preset, "folder": str(folder), "files": files})
    else:
        print(folder)


COMMAND = Command(
    "Downloads a preset into the cache ($BPTT_ZOO_CACHE, default ~/.cache/bptt_zoo) "
    "and prints its folder. What is there already is checked and not downloaded again; "
    "a broken transfer is resumed. With BPTT_ZOO_OFFLINE=1 no connection is opened.",
    Options,
    pull,
)
