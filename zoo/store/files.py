"""The files of a preset: their folder, and which of them are verified."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path

from zoo.store.folder import WEIGHTS, find_preset
from zoo.store.manifest import (
    LARGEST_MANIFEST,
    MANIFEST,
    read_manifest,
    sha256_of,
)
from zoo.system.errors import UserError, ZooError
from zoo.system.reading import read_bytes


@dataclasses.dataclass(frozen=True)
class PresetFiles:
    """The files of a preset, passed from the code that finds them to its readers.

    Each file is hashed only once: `sums` holds the checksums that are known.

    Args:
        source: What the user asked for: a name, a path or an address.
        folder: The folder of the files.
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
        """The known checksum of the weights, or else one computed from the file."""
        return self.sums.get(WEIGHTS) or sha256_of(self.folder / WEIGHTS)


@dataclasses.dataclass(frozen=True)
class CheckedPreset:
    """A preset that passed all checks that need no TensorFlow.

    Args:
        files: Its files, the weights verified.
        config: The content of `config.json`.
        metadata: The content of `metadata.json`.
    """

    files: PresetFiles
    config: dict
    metadata: dict


def verified_files(source: str, folder: Path, sha256: str) -> PresetFiles:
    """The files of a folder, verified against its manifest.

    Args:
        source: What the user asked for.
        folder: A preset folder.
        sha256: Checksum that the manifest must have.

    Raises:
        UserError: If there is no manifest, or a file is missing or cannot be read.
        ZooError: If a file differs from it.
    """
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} has no {MANIFEST} to compare with the checksum.")
    manifest = read_manifest(check_manifest(path, sha256), str(path))
    for name in manifest.files:
        try:
            manifest.check(name, folder / name)
        except OSError as error:
            raise UserError(
                f"The preset file {folder / name} cannot be read ({error.strerror})."
            ) from None
    return PresetFiles(source, folder, manifest.sums)


def check_manifest(path: Path, sha256: str) -> bytes:
    """Compares a manifest with its checksum.

    Returns:
        The content of the file.

    Raises:
        ZooError: If they do not match, or it cannot be read.
    """
    content = read_bytes(path, at_most=LARGEST_MANIFEST, option="The manifest")
    received = hashlib.sha256(content).hexdigest()
    if received != sha256:
        raise ZooError(
            f"this is not the manifest that was published: expected sha256 {sha256}, "
            f"received {received}."
        )
    return content
