"""Finds or downloads the files of data sets, and verifies their checksums."""

from __future__ import annotations

import dataclasses
import gzip
import hashlib
import os
from pathlib import Path

from zoo.datasets.cache import cache_folder
from zoo.system.download import download
from zoo.system.errors import UserError, ZooError

VARIABLE = "BPTT_ZOO_DATA"


@dataclasses.dataclass(frozen=True)
class File:
    """One registered file.

    Args:
        path: Path relative to a data folder, such as `ptb/ptb.train.txt`.
        url: Address for the download.
        size: Maximum size of a download, in bytes.
        sha256: Checksum of its content; of the unpacked content if it is gzipped.
        git_ids: Git blob ids of other versions that are also accepted.
    """

    path: str
    url: str
    size: int
    sha256: str
    git_ids: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """The last component of the path."""
        return Path(self.path).name


def read(file: File, data_dir: str | os.PathLike | None) -> bytes:
    """Reads, unpacks and verifies the content of a file.

    Args:
        file: The file to read.
        data_dir: The user's data folder; None: the environment variable
            BPTT_ZOO_DATA or, if that is unset, a download.

    Raises:
        UserError: If the user names a folder that does not have the file, or has a
            different version.
        ZooError: If it cannot be downloaded; the message names alternatives.
    """
    local = find(file, data_dir)
    if local is not None:
        try:
            return _checked(file, local)
        except ZooError as error:
            raise UserError(str(error)) from None
    path = cache_folder() / "downloads" / file.path
    if not path.exists():
        _fetch(file, path)
    return _checked(file, path)


def find(file: File, data_dir: str | os.PathLike | None) -> Path | None:
    """The local copy that the user names, or None if the user names none.

    Args:
        file: The file to find.
        data_dir: The data folder, or the folder of the data set in it, or the file
            itself. None: the environment variable BPTT_ZOO_DATA, if set.

    Raises:
        UserError: If the user names a folder that does not have the file.
    """
    name = "`--data-dir`"
    if data_dir is None:
        name, data_dir = VARIABLE, os.environ.get(VARIABLE) or None
    if data_dir is None:
        return None
    folder = Path(data_dir).expanduser()
    candidates: tuple[Path, ...] = (folder / file.path, folder / file.name)
    if folder.name == file.name:
        candidates = (folder, *candidates)
    for path in candidates:
        if path.is_file():
            return path
    raise UserError(
        f"{name} must be a folder that has {file.path}, or that file itself. "
        f"Received: {data_dir}"
    )


def _fetch(file: File, path: Path) -> None:
    try:
        download(
            file.url,
            path,
            limit=file.size,
            check=lambda part: _check(file, part.read_bytes(), file.url),
            label=file.name,
        )
    except ZooError as error:
        raise ZooError(
            f"{error} Without a network, name a folder that has {file.path} with "
            f"--data-dir or the environment variable {VARIABLE}."
        ) from None


def _checked(file: File, path: Path) -> bytes:
    try:
        return _check(file, path.read_bytes(), str(path))
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}).") from None


def _check(file: File, content: bytes, origin: str) -> bytes:
    """Returns the unpacked content.

    Raises:
        ZooError: If it is not the registered file.
    """
    length = len(content)
    if file.path.endswith(".gz"):
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError) as error:
            raise ZooError(f"{origin} is no gzip file ({error}).") from None
    received = hashlib.sha256(content).hexdigest()
    if received != file.sha256 and _git_id(content) not in file.git_ids:
        raise ZooError(
            f"{origin} is not the registered file: expected sha256 {file.sha256}, "
            f"received {received} ({length:,} bytes)."
        )
    return content


def _git_id(content: bytes) -> str:
    """Git's blob id of a file's content."""
    head = f"blob {len(content)}\0".encode()
    return hashlib.sha1(head + content, usedforsecurity=False).hexdigest()
