"""`bptt-zoo publish`: makes or extends a release folder."""

from __future__ import annotations

import dataclasses
from typing import Annotated

from zoo.cli.command import Command
from zoo.cli.options import Keyword, Positional
from zoo.cli.printing import megabytes, print_json
from zoo.cli.shared import AsJson
from zoo.store import hub
from zoo.store.check import check_preset
from zoo.system.quiet import import_tensorflow


@dataclasses.dataclass(frozen=True)
class Options:
    """The options of this command."""

    folder: Annotated[str, Positional("the release folder", "DIR")]
    presets: Annotated[
        list[str],
        Positional(
            "names, preset folders or runs (default: the package's presets)", "PRESET"
        ),
    ]
    mirrors: Annotated[
        list[str],
        Keyword(
            "where the release will be, for its index; again for more, in order",
            "URL",
            "--mirror",
        ),
    ] = dataclasses.field(default_factory=list)
    json: AsJson = False


def publish(options: Options) -> None:
    """Makes or extends a release folder."""
    presets = [check_preset(hub.locate_files(name)) for name in options.presets]
    import_tensorflow()
    # Put off: it imports TensorFlow.
    from zoo.store import publishing

    index = publishing.publish(options.folder, presets, mirrors=options.mirrors)
    if options.json:
        print_json({p.name: dataclasses.asdict(p) for p in index.presets.values()})
        return
    for listed in index.presets.values():
        print(f"{listed.name:20}{megabytes(listed.size):>10}  {listed.manifest_sha256}")
    print(
        f"Serve {options.folder} as it is, by any static host; users then write:\n"
        "  bptt-zoo list --from https://HOST/PATH\n"
        "  bptt-zoo pull NAME --from https://HOST/PATH"
    )


COMMAND = Command(
    "Copies presets into a folder, writes a manifest of checksums for each and "
    "index.json for all. A release that is there is extended.",
    Options,
    publish,
)
