"""The files of a preset where they were found, and which of them are verified."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from zoo.store.folder import WEIGHTS, find_preset
from zoo.store.manifest import MANIFEST, read_manifest, sha256_of
from zoo.system.errors import UserError, ZooError


@dataclasses.dataclass(frozen=True)
class PresetFiles:
    """The files of a preset, handed on from who finds them to who reads them.

    A file is hashed by whoever comes first; `sums` tells the others.

    Args:
        source: What was asked for: a name, a path or an address.
        folder: Where the files are.
        sums: `{name: SHA-256}` of the files that have been hashed.
    """

    source: str
    folder: Path
    sums: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def at(cls, folder: str | os.PathLike) -> PresetFiles:
        """The files of a folder, none of them hashed; see `find_preset`.

        Raises:
            UserError: If there is no preset.
        """
        return cls(os.fspath(folder), find_preset(folder))

    @property
    def weights_sha256(self) -> str:
        """Checksum of the weights: that which is known, or else of the file."""
        return self.sums.get(WEIGHTS) or sha256_of(self.folder / WEIGHTS)


@dataclasses.dataclass(frozen=True)
class CheckedPreset:
    """A preset that is whole, as far as that can be said without TensorFlow.

    Args:
        files: Its files, the weights verified.
        config: What `config.json` holds.
        metadata: What `metadata.json` holds.
    """

    files: PresetFiles
    config: dict
    metadata: dict


def verified_files(source: str, folder: Path, sha256: str) -> PresetFiles:
    """The files of a folder, compared with its manifest.

    Args:
        source: What was asked for.
        folder: A preset folder.
        sha256: Checksum that the manifest must have.

    Raises:
        UserError: If there is no manifest.
        ZooError: If a file is another one.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} has no {MANIFEST} to compare with the checksum.")
    check_manifest(path, sha256)
    manifest = read_manifest(path.read_bytes(), str(path))
    for name in manifest.files:
        manifest.check(name, folder / name)
    return PresetFiles(source, folder, manifest.sums)


def check_manifest(path: Path, sha256: str) -> None:
    """Compares a manifest with its checksum.

    Raises:
        ZooError: If it is another one.
    """
    received = sha256_of(path)
    if received != sha256:
        raise ZooError(
            f"this is not the manifest that was published: expected sha256 {sha256}, "
            f"received {received}."
        )
