"""`bptt-zoo export-preset`: writes the best of several trainings."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated

from zoo.cli.command import Command
from zoo.cli.options import Keyword, Positional
from zoo.plain.scales import worded
from zoo.store import hub
from zoo.store.check import check_preset
from zoo.store.manifest import FILES, MANIFEST
from zoo.system.errors import UserError
from zoo.system.output import output_file
from zoo.system.quiet import import_tensorflow


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """The options of this command."""

    runs: Annotated[
        list[str], Positional("the --out folders of trainings", "RUN", least=1)
    ]
    out: Annotated[
        str,
        Keyword(
            "the preset folder; or a file that keras.models.load_model reads, after "
            "`import bptt_keras, zoo.layers`",
            "DIR|FILE.keras",
        ),
    ]
    half: Annotated[bool, Keyword("store weights in half precision")] = False
    overwrite: Annotated[bool, Keyword("replace a preset that is there")] = False


def export_preset(options: Options) -> None:
    """Writes the best of several runs as a preset, or its model as a Keras file."""
    out = Path(options.out)
    if out.exists() and not options.overwrite:
        raise UserError(f"{out} is there already. Add --overwrite to replace it.")
    if out.suffix == ".keras":
        output_file(out, (".keras",))
        if options.half:
            raise UserError("`--half` is for preset folders, not for a .keras file.")
    elif out.exists() and not _is_preset_alone(out):
        raise UserError(f"{out} is no preset folder, and is not replaced.")
    runs = [check_preset(hub.locate_files(run)) for run in options.runs]
    import_tensorflow()
    # Put off: it imports TensorFlow.
    from zoo.store import publishing

    metadata = publishing.export_preset(runs, out, half=options.half)
    seeds = ", ".join(
        f"seed {seed}: {worded(value, metadata['metric']['unit'])}"
        for seed, value in metadata["seeds"].items()
    )
    print(f"{seeds}\nwritten: {out}, weights of seed {metadata['seed']}")


def _is_preset_alone(folder: Path) -> bool:
    """Whether a folder holds a preset's files and no others."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return folder.resolve() != Path.cwd() and names <= {*FILES, MANIFEST}


COMMAND = Command(
    "Writes the training with the best validation metric, of several that differ in "
    "their seeds, with the results of all of them.",
    Options,
    export_preset,
)
