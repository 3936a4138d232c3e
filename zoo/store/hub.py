"""Finds the checked files of a preset by name, folder or address."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from zoo.datasets.cache import cache_folder, usable_cache
from zoo.plain.suggestions import did_you_mean
from zoo.store.addresses import address_of, joined, require_secure
from zoo.store.check import check_preset
from zoo.store.downloads import cached_folder, fetch, key_of, refreshed
from zoo.store.files import PresetFiles, verified_files
from zoo.store.folder import CONFIG
from zoo.store.index import (
    INDEX,
    LARGEST,
    SHIPPED,
    Index,
    Listed,
    is_name,
    own_index,
    read_index,
)
from zoo.store.manifest import MANIFEST, is_sha256
from zoo.system.errors import UserError, ZooError

if TYPE_CHECKING:
    from zoo.store.preset import Preset

MIRRORS = "BPTT_ZOO_MIRRORS"


def from_preset(
    source: str | os.PathLike,
    *,
    sha256: str | None = None,
    mirrors: Sequence[str] = (),
) -> Preset:
    """Loads a trained model by name, from a folder or from an address.

    Files from the network are verified by checksum when they arrive and each time they
    are used again, and kept in `$BPTT_ZOO_CACHE/presets` (default:
    `~/.cache/bptt_zoo/presets`). No code in them is run. With BPTT_ZOO_OFFLINE=1 in
    the environment no connection is opened.

    Args:
        source: A name from `list_presets()`; a preset folder, or the folder of a
            training run; `https://HOST/PATH`, a folder made by `bptt-zoo publish`;
            `hf://OWNER/REPOSITORY[/FOLDER][@REVISION]`, such a folder on the Hugging
            Face hub. A name takes precedence over a folder of the same name: write
            `./name` for the folder.
        sha256: Checksum that the preset's manifest must have, in hexadecimal digits.
            None: the checksum in the index for a name, any for an address or a folder.
        mirrors: Addresses of release folders to try for a name, in order, before those
            in the environment variable BPTT_ZOO_MIRRORS and in the index.

    Returns:
        A `Preset`.

    Raises:
        UserError: If there is no such preset, or its files are damaged.
        ZooError: If it cannot be downloaded, or differs from what was published.

    Example:
        import zoo

        preset = zoo.from_preset("echo-8")
        print(preset.metadata["metric"], preset.model.count_params())
    """
    checked = check_preset(locate_files(source, sha256=sha256, mirrors=mirrors))
    # Keras: put off.
    from zoo.store.preset import load_preset

    return load_preset(checked)


def locate(
    source: str | os.PathLike,
    *,
    sha256: str | None = None,
    mirrors: Sequence[str] = (),
) -> Path:
    """The folder with the checked files of a preset; see `from_preset`."""
    return locate_files(source, sha256=sha256, mirrors=mirrors).folder


def locate_files(
    source: str | os.PathLike,
    *,
    sha256: str | None = None,
    mirrors: Sequence[str] = (),
) -> PresetFiles:
    """The files of a preset; see `from_preset`.

    Returns:
        The files. Those from a name, an address or with a checksum are verified, and
        their checksums known; those from a folder are not.
    """
    source = os.fspath(source)
    if sha256 is not None and not is_sha256(sha256):
        raise UserError(f"`sha256` must be 64 hexadecimal digits. Received: {sha256!r}")
    if not is_name(source):
        if mirrors:
            raise UserError(f"A mirror goes with a name. Received: {source!r}")
        if "://" in source:
            with usable_cache():
                return fetch([address_of(source)], sha256, source)
        return _of_folder(source, sha256)
    found, found_at = _look_up(source, mirrors)
    if found is not None:
        if sha256 not in (None, found.manifest_sha256):
            raise ZooError(
                f"The preset {source} has a different checksum from the one given: "
                f"{found.manifest_sha256}, not {sha256}."
            )
        return _by_name(found, found_at)
    return _of_folder(source, sha256)


def index_at(mirror: str) -> Index:
    """The index of a release folder on a server.

    Raises:
        ZooError: If there is none, or it cannot be read.
    """
    url = joined(address_of(mirror), INDEX)
    require_secure(url)
    path = cache_folder() / "presets" / "indexes" / f"{key_of(url)}.json"
    with usable_cache():
        content = refreshed(url, path, LARGEST, read_index)
    return read_index(content, url)


def _of_folder(source: str, sha256: str | None) -> PresetFiles:
    if not os.path.exists(source):
        meant = did_you_mean(source, [*own_index().presets, *_presets_beside(source)])
        raise UserError(
            f"There is no preset {source!r}: neither a folder nor a preset of "
            f"`bptt-zoo list` has this name.{meant}"
        )
    files = PresetFiles.at(source)
    if sha256 is None:
        return files
    return verified_files(source, files.folder, sha256)


def _presets_beside(source: str) -> list[str]:
    """The paths of presets in the same parent folder, to suggest for a typo."""
    above = os.path.dirname(source)
    try:
        paths = [Path(entry) for entry in os.scandir(above or ".")]
    except (OSError, ValueError):
        return []
    return [
        os.path.join(above, path.name)
        for path in paths
        if any((path / name / CONFIG).is_file() for name in ("", "preset"))
    ]


def _look_up(name: str, asked: Sequence[str]) -> tuple[Listed | None, list[str]]:
    """Looks up a name in the package's index, or else in those of the mirrors.

    If a folder has that name, mirrors are asked only if the caller names some.
    """
    index = own_index()
    mirrors = [*asked, *os.environ.get(MIRRORS, "").split()]
    if name in index.presets:
        return index.presets[name], [*mirrors, *index.mirrors]
    if not asked and os.path.isdir(name):
        return None, []
    failures: list[ZooError] = []
    listed: list[str] = []
    for place, mirror in enumerate(mirrors):
        try:
            release = index_at(mirror)
        except ZooError as error:
            failures.append(error)
            continue
        if name in release.presets:
            # Its checksum is now known, so it may come from anywhere.
            others = [*mirrors[place + 1 :], *release.mirrors]
            return release.presets[name], [mirror, *others]
        listed += release.presets
    if failures:
        raise failures[0]
    if mirrors:
        meant = did_you_mean(name, [*index.presets, *listed])
        raise UserError(
            f"There is no preset {name} at {', '.join(mirrors)}.{meant} What there is: "
            "bptt-zoo list --from ADDRESS"
        )
    return None, []


def _by_name(found: Listed, mirrors: list[str]) -> PresetFiles:
    shipped = SHIPPED / found.name
    if shipped.is_dir():
        try:
            return verified_files(found.name, shipped, found.manifest_sha256)
        except (OSError, ZooError) as error:
            raise UserError(
                f"The preset {found.name} that came with the package is damaged: "
                f"{error} Install bptt_keras again."
            ) from None
    folder = cached_folder(found.manifest_sha256)
    if not mirrors and not (folder / MANIFEST).exists():
        raise UserError(
            f"The preset {found.name} comes by download, and no server is known that "
            f"has it. Name one with --from, `mirrors=` or {MIRRORS}."
        )
    addresses = [joined(address_of(mirror), found.name) for mirror in mirrors]
    with usable_cache():
        return fetch(addresses, found.manifest_sha256, found.name)
