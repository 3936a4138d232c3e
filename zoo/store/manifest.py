"""The list of a preset's files: what arrives must be what was published.

`manifest.json` lies beside the files and names each with its size and checksum. The
checksum of the manifest vouches for all of them: who knows it can take the files from
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
from zoo.system.reading import parse_json

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
    """What a preset folder must hold.

    Args:
        files: `{name: Entry}` of the four files of a preset.
        sha256: Checksum of the manifest itself.
    """

    files: dict[str, Entry]
    sha256: str

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(entry.size for entry in self.files.values())

    @property
    def sums(self) -> dict[str, str]:
        """`{name: SHA-256}` of all files."""
        return {name: entry.sha256 for name, entry in self.files.items()}

    def check(self, name: str, path: str | os.PathLike) -> None:
        """Compares a file with the entry of a name.

        Raises:
            ZooError: If it is another file.
        """
        entry = self.files[name]
        received = Entry(os.stat(path).st_size, sha256_of(path))
        if received != entry:
            raise ZooError(
                f"this is not the {name} that was published: expected {entry.size:,} "
                f"bytes with sha256 {entry.sha256}, received {received.size:,} bytes "
                f"with {received.sha256}"
            )


def read_manifest(content: bytes, origin: str) -> Manifest:
    """A manifest from the content of its file.

    Args:
        content: Bytes, perhaps from elsewhere.
        origin: Where they come from, for the error.

    Raises:
        ZooError: If it is none, names other files than the four of a preset, or sizes
            above the limits.
    """
    # Put off: pydantic takes 0.1 s, and what reads no JSON does without.
    from zoo.store import json_models
    from zoo.system.validation import hold

    try:
        rows = hold(json_models.Manifest, parse_json(content), wrong=_WRONG).files
        if set(rows) != set(FILES):
            raise ValueError(f"files {sorted(rows)}, not {sorted(FILES)}")
        files = {}
        for name, row in rows.items():
            file = hold(json_models.File, row, wrong=_WRONG)
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
    """The content of the manifest of a preset folder.

    Args:
        folder: The preset folder.
        sums: `{name: SHA-256}` of files that have been hashed; the others are now.

    Raises:
        UserError: If one of the four files is missing, a link, or larger than may be.
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
    """Copies the files of a preset, all at once; an older one is replaced.

    Raises:
        UserError: If one of them is a link.
        ZooError: If the folder cannot be written, with the reason.
    """
    make_folder(folder.parent)
    with new_folder(folder) as new:
        for name in (*FILES, MANIFEST):
            _require_no_link(source / name)
            if (source / name).is_file():
                shutil.copyfile(source / name, new / name)


def _require_no_link(path: Path) -> None:
    """Refuses a link: it may lead to a file that nobody meant to give away."""
    if path.is_symlink():
        raise UserError(
            f"The preset file {path} is a link. Put the file itself in its place."
        )


def sha256_of(path: str | os.PathLike) -> str:
    """SHA-256 of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        digest = hashlib.sha256()
        while piece := file.read(2**20):
            digest.update(piece)
    return digest.hexdigest()


def is_sha256(value: object) -> bool:
    """Whether a value is written as `sha256_of` writes."""
    return isinstance(value, str) and re.fullmatch(limits.SHA256, value) is not None
