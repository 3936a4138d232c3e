"""`bptt-zoo export`: writes a preset's model for another runtime, step by step."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Annotated, Literal

from zoo.cli.command import Command
from zoo.cli.options import Keyword
from zoo.cli.shared import PresetName
from zoo.store.check import check_preset
from zoo.store.hub import locate_files
from zoo.system.errors import UserError
from zoo.system.output import output_file
from zoo.system.quiet import import_tensorflow

_SUFFIXES = {"saved_model": "", "onnx": ".onnx", "litert": ".tflite"}
_ANY = "any"


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """The options of this command."""

    preset: PresetName
    format: Annotated[
        Literal["saved_model", "onnx", "litert"],
        Keyword("of ONNX and LiteRT the extra must be installed"),
    ]
    out: Annotated[
        str | None,
        Keyword(
            "a file .onnx or .tflite, or the folder of a SavedModel (default: "
            "NAME-step in this folder)",
            "FILE|DIR",
        ),
    ] = None
    rows: Annotated[
        str, Keyword("sequences side by side, or any (%(default)s)", "N|any")
    ] = "1"
    timesteps: Annotated[
        str, Keyword("timesteps in a call, or any (%(default)s)", "N|any")
    ] = "1"
    reset: Annotated[bool, Keyword("add an input that resets rows by flags")] = False
    overwrite: Annotated[bool, Keyword("replace what is there")] = False


def export(options: Options) -> None:
    """Writes the step of a preset's model, and the JSON file that describes it."""
    sizes = {
        name: _size(name, getattr(options, name)) for name in ("rows", "timesteps")
    }
    files = locate_files(options.preset)
    suffix = _SUFFIXES[options.format]
    out = Path(options.out or f"{files.folder.name}-step{suffix}")
    if suffix:
        output_file(out, (suffix,))
    for path in (out, out.with_name(f"{out.name}.json")):
        if path.exists() and not options.overwrite:
            raise UserError(f"{path} is there already. Add --overwrite to replace it.")
    checked = check_preset(files)
    import_tensorflow()
    # Put off: they import TensorFlow.
    from zoo.products.steps import export_step
    from zoo.store.preset import load_preset

    said = export_step(
        load_preset(checked), out, options.format, reset=options.reset, **sizes
    )
    proof = said["proof"]
    print(
        f"written: {out} and {out.name}.json\n"
        f"proved:  {proof['timesteps']} timesteps in {proof['runtime']}, within "
        f"{proof['largest_difference']:.1g} of Keras"
    )


def _size(name: str, value: str) -> int | None:
    """A number of at least 1, or `None` for any."""
    if value == _ANY:
        return None
    if not value.isascii() or not value.isdigit() or int(value) < 1:
        raise UserError(f"`--{name}` must be a number from 1, or any: {value}")
    return int(value)


COMMAND = Command(
    "Writes the model of a preset as a file that runs step by step in another runtime, "
    "its state as inputs and outputs, and beside it a JSON file that describes it. The "
    "file is run there, and compared, before the command ends.",
    Options,
    export,
)
