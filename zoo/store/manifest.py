"""The manifest of a preset: proves that the files are those that were published.

`manifest.json` is in the same folder as the files and lists their sizes and checksums.
The checksum of the manifest covers all of them: with it, the files can come from
anywhere.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path

from zoo.store.folder import CARD, CONFIG, METADATA, WEIGHTS
from zoo.system import limits
from zoo.system.errors import UserError, ZooError
from zoo.system.files import make_folder
from zoo.system.folders import new_folder
from zoo.system.reading import open_regular, parse_json

MANIFEST = "manifest.json"
FILES = (CONFIG, METADATA, CARD, WEIGHTS)
FORMAT = 1
LARGEST_MANIFEST = limits.MANIFEST
LARGEST = {
    CONFIG: limits.CONFIG,
    METADATA: limits.METADATA,
    CARD: limits.CARD,
    WEIGHTS: limits.WEIGHTS_FILE,
}
_WRONG = "{where} cannot be the {kind} {value}"


@dataclasses.dataclass(frozen=True)
class Entry:
    """Size in bytes and SHA-256 of a file."""

    size: int
    sha256: str


@dataclasses.dataclass(frozen=True)
class Manifest:
    """The required content of a preset folder.

    Args:
        files: `{name: Entry}` of the four files of a preset.
        sha256: Checksum of the manifest itself.
    """

    files: dict[str, Entry]
    sha256: str

    @property
    def size(self) -> int:
        """Total size of all files in bytes."""
        return sum(entry.size for entry in self.files.values())

    @property
    def sums(self) -> dict[str, str]:
        """`{name: SHA-256}` of all files."""
        return {name: entry.sha256 for name, entry in self.files.items()}

    def check(self, name: str, path: str | os.PathLike) -> None:
        """Compares a file with the entry of a name.

        Raises:
            ZooError: If they do not match.
            OSError: If it is missing, or is not a regular file.
        """
        entry, size = self.files[name], os.stat(path).st_size
        wrong = f"this is not the {name} that was published: expected {entry.size:,} "
        # A file of another size may be too large to be read.
        if size != entry.size:
            raise ZooError(f"{wrong}bytes, received {size:,}")
        sha256 = sha256_of(path)
        if sha256 != entry.sha256:
            raise ZooError(
                f"{wrong}bytes with sha256 {entry.sha256}, received as many with "
                f"{sha256}"
            )


def read_manifest(content: bytes, origin: str) -> Manifest:
    """Reads a manifest from the content of its file.

    Args:
        content: Bytes, which may be untrusted.
        origin: Where they come from, for the error.

    Raises:
        ZooError: If it is not a valid manifest, names files other than the four of a
            preset, or sizes above the limits.
    """
    # Put off: pydantic takes 0.1 s to import, and few commands read JSON.
    from zoo.store import json_models
    from zoo.system.validation import validate

    try:
        rows = validate(json_models.Manifest, parse_json(content), wrong=_WRONG).files
        if set(rows) != set(FILES):
            raise ValueError(f"files {sorted(rows)}, not {sorted(FILES)}")
        files = {}
        for name, row in rows.items():
            file = validate(json_models.File, row, wrong=_WRONG)
            if not 0 <= file.size <= LARGEST[name]:
                raise ValueError(
                    f"a {name} of {file.size} bytes (at most {LARGEST[name]:,})"
                )
            files[name] = Entry(file.size, file.sha256)
    except ValueError as error:
        raise ZooError(f"{origin} is no manifest of a preset: {error}.") from None
    return Manifest(files, hashlib.sha256(content).hexdigest())


def make_manifest(
    folder: str | os.PathLike, sums: Mapping[str, str] | None = None
) -> bytes:
    """Makes the content of the manifest of a preset folder.

    Args:
        folder: The preset folder.
        sums: `{name: SHA-256}` of files that have already been hashed.

    Raises:
        UserError: If one of the four files is missing, a link, or too large.
    """
    rows = {}
    for name in FILES:
        path = Path(folder) / name
        _require_no_link(path)
        if not path.is_file():
            raise UserError(f"The preset file {path} is missing.")
        size = path.stat().st_size
        if size > LARGEST[name]:
            raise UserError(
                f"{path} has {size:,} bytes; at most {LARGEST[name]:,} can be "
                "published."
            )
        known = (sums or {}).get(name)
        rows[name] = {"size": size, "sha256": known or sha256_of(path)}
    text = json.dumps({"format": FORMAT, "files": rows}, indent=2)
    return f"{text}\n".encode()


def copy_preset(source: Path, folder: Path) -> None:
    """Copies the files of a preset, all or none; replaces an older one.

    Raises:
        UserError: If one of them is a link.
        ZooError: If the folder cannot be written; gives the reason.
    """
    make_folder(folder.parent)
    with new_folder(folder) as new:
        for name in (*FILES, MANIFEST):
            _require_no_link(source / name)
            if (source / name).is_file():
                shutil.copyfile(source / name, new / name)


def _require_no_link(path: Path) -> None:
    """Refuses a link: it may lead to a file that was not meant to be published."""
    if path.is_symlink():
        raise UserError(
            f"The preset file {path} is a link. Put the file itself in its place."
        )


def sha256_of(path: str | os.PathLike) -> str:
    """SHA-256 of a regular file, in hexadecimal digits."""
    with open_regular(path) as file:
        digest = hashlib.sha256()
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def is_sha256(value: object) -> bool:
    """Whether a value has the form that `sha256_of` returns."""
    return isinstance(value, str) and re.fullmatch(limits.SHA256, value) is not None
