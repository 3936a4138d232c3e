"""What the commands of `bptt-zoo` about presets do, after their options are read."""

from __future__ import annotations

import dataclasses
import json
import sys
from pathlib import Path

from zoo import datasets
from zoo.plain.scales import worded
from zoo.products.kinds import product_of
from zoo.runs.report import result_table, verdict
from zoo.store import hub
from zoo.store.card import on_machine
from zoo.store.check import check_preset, read_known_metadata
from zoo.store.index import list_presets
from zoo.store.manifest import FILES, MANIFEST, copy_preset
from zoo.system.errors import UserError, ZooError
from zoo.system.files import write_text
from zoo.system.output import output_file
from zoo.system.quiet import import_tensorflow
from zoo.tasks import TASKS


def list_all(arguments) -> None:
    """Prints the tasks, the data sets and the presets."""
    if arguments.server is None:
        presets = list_presets()
    else:
        presets = list(hub.index_at(arguments.server).presets.values())
    sets = [
        (name, task.NAME, row.summary if row else task.source_of(name))
        for task in TASKS.values()
        for name in task.DATASETS
        for row in [datasets.DATASETS.get(name)]
    ]
    if arguments.json:
        _print_json(
            {
                "tasks": {t.NAME: t.SUMMARY for t in TASKS.values()},
                "data_sets": [
                    {"name": n, "task": t, "summary": words} for n, t, words in sets
                ],
                "presets": [
                    {**dataclasses.asdict(p), "shipped": p.shipped} for p in presets
                ],
            }
        )
        return
    print("tasks")
    for task in TASKS.values():
        print(f"  {task.NAME:20}{task.SUMMARY}")
    print("\ndata sets")
    for name, task, words in sets:
        print(f"  {name:20}{task:20}{words}")
    for task in TASKS.values():
        if task.OWN_DATA is not None:
            print(f"  {'--data PATH':20}{task.NAME:20}{task.OWN_DATA}")
    print("\npresets" + ("" if presets else ": none"))
    for preset in presets:
        where = "" if preset.shipped else f", by download, {_size(preset.size)}"
        value = f"{preset.metric} {worded(preset.value, preset.unit)}"
        print(f"  {preset.name:20}{preset.task:20}{value}{where}")


def show(arguments) -> None:
    """Prints what is known of a preset."""
    folder = hub.locate(arguments.preset)
    metadata = read_known_metadata(folder)
    if arguments.json:
        _print_json({**metadata, "folder": str(folder)})
        return
    print("\n".join(filter(None, [result_table(metadata), verdict(metadata)])) + "\n")
    for name in ("data", "recipe", "versions", "seeds"):
        if metadata.get(name):
            facts = ", ".join(f"{k} {v}" for k, v in metadata[name].items())
            print(f"{name}: {facts}")
    print(f"weights: {metadata['parameters']:,}")
    epochs = metadata.get("stopped_after")
    stopped = "" if epochs is None else f", stopped after {epochs} epochs"
    seconds = f"{metadata['wall_time_seconds']:,.0f} s"
    print(f"trained in {seconds}{on_machine(metadata)}{stopped}")
    print(f"folder: {folder}")
    product = product_of(TASKS[metadata["task"]])
    for words, command in product.next_steps(arguments.preset):
        print(f"{words}: {command}")


def pull(arguments) -> None:
    """Downloads a preset, checked, and prints where it is."""
    mirrors = [] if arguments.server is None else [arguments.server]
    folder = hub.locate(arguments.preset, sha256=arguments.sha256, mirrors=mirrors)
    if arguments.out is not None:
        out = Path(arguments.out)
        if out.exists():
            raise UserError(f"{out} is there already. Name a new folder with --out.")
        copy_preset(folder, out)
        folder = out
    if arguments.json:
        files = {name: (folder / name).stat().st_size for name in FILES}
        _print_json({"preset": arguments.preset, "folder": str(folder), "files": files})
    else:
        print(folder)


def export_preset(arguments) -> None:
    """Writes the best of several runs as a preset, or its model as Keras saves it."""
    out = Path(arguments.out)
    if out.exists() and not arguments.overwrite:
        raise UserError(f"{out} is there already. Add --overwrite to replace it.")
    if out.suffix == ".keras":
        output_file(out, (".keras",))
        if arguments.half:
            raise UserError("`--half` is for preset folders, not for a .keras file.")
    elif out.exists() and not _is_preset_alone(out):
        raise UserError(f"{out} is no preset folder, and is not replaced.")
    runs = [check_preset(hub.locate_files(run)) for run in arguments.runs]
    import_tensorflow()
    from zoo.store import publishing

    metadata = publishing.export_preset(runs, out, half=arguments.half)
    seeds = ", ".join(
        f"seed {seed}: {worded(value, metadata['metric']['unit'])}"
        for seed, value in metadata["seeds"].items()
    )
    print(f"{seeds}\nwritten: {out}, weights of seed {metadata['seed']}")


def publish(arguments) -> None:
    """Makes or extends a release folder."""
    presets = [check_preset(hub.locate_files(name)) for name in arguments.presets]
    import_tensorflow()
    from zoo.store import publishing

    index = publishing.publish(arguments.folder, presets, mirrors=arguments.mirrors)
    if arguments.json:
        _print_json({p.name: dataclasses.asdict(p) for p in index.presets.values()})
        return
    for preset in index.presets.values():
        print(f"{preset.name:20}{_size(preset.size):>10}  {preset.manifest_sha256}")
    print(
        f"Serve {arguments.folder} as it is, by any static host; users then write:\n"
        "  bptt-zoo list --from https://HOST/PATH\n"
        "  bptt-zoo pull NAME --from https://HOST/PATH"
    )


def results(arguments) -> int:
    """Measures presets again and prints a table; 1 if one could not be measured."""
    import_tensorflow()
    from zoo.runs.results import measure, to_csv, to_markdown

    if arguments.csv is not None:
        output_file(arguments.csv, (".csv",), option="--csv")
    names = arguments.presets or [preset.name for preset in list_presets()]
    rows, failed = [], 0
    for name in names:
        print(f"measuring {name}", file=sys.stderr)
        try:
            rows.append(measure(name, arguments.data_dir))
        except ZooError as error:
            print(f"{name} is left out: {error}", file=sys.stderr)
            failed = 1
    if arguments.csv is not None:
        write_text(arguments.csv, to_csv(rows))
    if arguments.json:
        _print_json(rows)
    else:
        print(to_markdown(rows), end="")
    return failed


def completion(arguments) -> None:
    """Prints a script that completes commands, options and names in a shell."""
    from zoo.cli.completion import script
    from zoo.cli.main import build_parser

    print(script(build_parser(), arguments.shell))


def _is_preset_alone(folder: Path) -> bool:
    """Whether a folder has a preset's files, and none besides."""
    names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    return folder.resolve() != Path.cwd() and names <= {*FILES, MANIFEST}


def _size(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"


def _print_json(value) -> None:
    print(json.dumps(value, indent=2, ensure_ascii=False))
