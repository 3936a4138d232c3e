"""Exports presets from runs, and makes release folders for any static host."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from zoo.store.addresses import require_address
from zoo.store.check import check_preset
from zoo.store.files import CheckedPreset
from zoo.store.folder import CONFIG
from zoo.store.hub import locate_files
from zoo.store.index import (
    INDEX,
    LARGEST,
    Index,
    is_name,
    listed,
    own_index,
    read_index,
    require_name,
    to_json,
)
from zoo.store.manifest import MANIFEST, copy_preset, make_manifest, read_manifest
from zoo.store.preset import Preset, load_preset, save_to_preset
from zoo.system import limits
from zoo.system.errors import UserError
from zoo.system.files import atomic_path, make_folder, write_json, write_text
from zoo.system.reading import read_bytes
from zoo.tasks import TASKS

# The location of a preset, or a preset that has been checked.
Source = str | os.PathLike | CheckedPreset


def export_preset(
    runs: Sequence[Source], folder: str | os.PathLike, *, half: bool = False
) -> dict:
    """Writes the best of several trainings of a recipe as one preset.

    The validation metric selects the best; the metadata record what each seed reached
    on the part that is reported.

    Args:
        runs: Preset folders, or folders of training runs, that differ only in their
            seeds; or what `check_preset` returned for them.
        folder: The preset to write, or a file `.keras` for the model alone; its parent
            folders are created.
        half: Whether to store the weights in half precision.

    Returns:
        The metadata that were written.

    Raises:
        UserError: If a run has no preset, the recipes of the runs differ, or the
            folder is one of them.
    """
    if not runs:
        raise UserError("At least one run must be given.")
    folder = Path(folder)
    checked = [_checked(run) for run in runs]
    if folder.resolve() in {run.files.folder.resolve() for run in checked}:
        raise UserError(f"The preset would replace a run that is read: {folder}")
    presets = [load_preset(run) for run in checked]
    try:
        best = _best(presets)
    except (KeyError, TypeError) as error:
        raise UserError(f"The metadata of a run lack {error}.") from None
    make_folder(folder.parent)
    if folder.suffix == ".keras":
        with atomic_path(folder) as temporary:
            best.model.save(temporary)
    else:
        save_to_preset(folder, best, half=half)
    return best.metadata


def publish(
    folder: str | os.PathLike,
    presets: Sequence[Source] = (),
    *,
    mirrors: Sequence[str] = (),
) -> Index:
    """Makes or extends a release folder, which any static host can serve.

    Each preset becomes a folder with a manifest of checksums, and `index.json` lists
    them all. In an existing release, presets are added or replaced.

    Args:
        folder: The release folder.
        presets: The presets to add: preset folders, which keep their names, or names of
            the package's presets; or what `check_preset` returned for them. Empty for
            a new release: all of the package's presets.
        mirrors: Future addresses of the release, in the order of trial, for its index.
            Empty: keep those in the index.

    Returns:
        The `Index` that was written.

    Raises:
        UserError: If a preset is missing or damaged, its name is not allowed, or one of
            its files is a link.
    """
    folder = Path(folder)
    if len(mirrors) > limits.MIRRORS:
        raise UserError(
            f"A release has at most {limits.MIRRORS} mirrors. Received: {len(mirrors)}"
        )
    for mirror in mirrors:
        require_address(mirror)
    there = {
        path.name: path
        for path in sorted(folder.glob("*"))
        if is_name(path.name) and (path / CONFIG).is_file()
    }
    names = [_name_of(source) for source in presets]
    for name in names:
        require_name(name)
        if names.count(name) > 1:
            raise UserError(f"Two presets have the same name, {name}.")
    sources = dict(zip(names, map(_checked, presets), strict=True))
    if not sources and not there:
        sources = {name: _checked(name) for name in own_index().presets}
    kept = {name: path for name, path in there.items() if name not in sources}
    every = {**{name: check_preset(path) for name, path in kept.items()}, **sources}
    # Read all of them before anything is written.
    rows, manifests = {}, {}
    for name, checked in sorted(every.items()):
        metadata, files = load_preset(checked).metadata, checked.files
        manifests[name] = content = make_manifest(files.folder, files.sums)
        rows[name] = listed(name, metadata, read_manifest(content, name))
    index = Index(rows, tuple(mirrors) or _mirrors_of(folder))
    make_folder(folder)
    for name, checked in sources.items():
        source = checked.files.folder
        if source.resolve() != (folder / name).resolve():
            copy_preset(source, folder / name)
    for name, content in manifests.items():
        write_text(folder / name / MANIFEST, content.decode())
    write_json(folder / INDEX, to_json(index))
    return index


def _checked(source: Source) -> CheckedPreset:
    if isinstance(source, CheckedPreset):
        return source
    return check_preset(locate_files(source))


def _best(presets: Sequence[Preset]) -> Preset:
    """The preset with the best validation metric, and the results of all seeds."""
    first = presets[0].metadata
    task = TASKS[first["task"]]

    def same(metadata):
        recipe = {k: v for k, v in metadata["recipe"].items() if k != "seed"}
        return metadata["task"], metadata["data"], recipe

    def validation(preset):
        metric = preset.metadata["metric"]
        return metric.get("validation", metric["value"])

    seeds: dict[str, float] = {}
    best = presets[0]
    for preset in presets:
        if same(preset.metadata) != same(first):
            raise UserError(
                "The runs must differ by nothing but their seeds. Other task, data or "
                f"recipe: {preset.metadata['recipe']} beside {first['recipe']}."
            )
        own = {str(preset.metadata["seed"]): preset.metadata["metric"]["value"]}
        # A preset that was exported before also lists other seeds.
        known = preset.metadata.get("seeds", own)
        if known.keys() & seeds.keys():
            twice = ", ".join(known.keys() & seeds.keys())
            raise UserError(f"Two runs have the same seed, {twice}.")
        seeds |= known
        if task.METRIC.better(validation(preset), validation(best)):
            best = preset
    best.metadata["seeds"] = seeds
    return best


def _name_of(source: Source) -> str:
    path = Path(source.files.source if isinstance(source, CheckedPreset) else source)
    # The `preset` folder of a run is named after the run.
    return path.parent.name if path.name == "preset" else path.name


def _mirrors_of(folder: Path) -> tuple[str, ...]:
    path = folder / INDEX
    if not path.exists():
        return ()
    content = read_bytes(path, at_most=LARGEST, option="The release folder")
    return read_index(content, str(path)).mirrors
