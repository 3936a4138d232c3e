"""Downloads the files of presets, checks them and keeps them in the cache folder."""

from __future__ import annotations

import errno
import functools
import hashlib
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from zoo.datasets.cache import cache_folder
from zoo.store.addresses import joined, require_secure
from zoo.store.files import PresetFiles, check_manifest
from zoo.store.manifest import LARGEST_MANIFEST, MANIFEST, read_manifest
from zoo.system.download import OFFLINE, Unreachable, download, is_offline
from zoo.system.errors import ZooError
from zoo.system.files import atomic_path


def fetch(addresses: list[str], sha256: str | None, label: str) -> PresetFiles:
    """Completes a manifest's files in the cache from the first address that works.

    A cached file is used only if it matches the manifest; otherwise it is deleted.

    Args:
        addresses: Folders on servers that have the files, in the order of trial.
        sha256: Checksum of the manifest; None: that of the manifest which the only
            address has now.
        label: Name for errors and progress bars.

    Returns:
        The files, all of them verified.

    Raises:
        ZooError: If no address has a file; gives the reason for each.
    """
    for address in addresses:
        require_secure(address, pinned=sha256 is not None)
    if sha256 is None:
        (address,) = addresses
        sha256 = _current(address)
    folder, wanted = cached_folder(sha256), sha256
    download(
        [joined(address, MANIFEST) for address in addresses],
        folder / MANIFEST,
        check=lambda path: check_manifest(path, wanted),
        limit=LARGEST_MANIFEST,
    )
    manifest = read_manifest((folder / MANIFEST).read_bytes(), label)
    for name, entry in manifest.files.items():
        download(
            [joined(address, name) for address in addresses],
            folder / name,
            check=functools.partial(manifest.check, name),
            limit=entry.size,
            size=entry.size,
            label=f"{label.rstrip('/').rpartition('/')[2]}/{name}",
        )
    return PresetFiles(label, folder, manifest.sums)


def _current(address: str) -> str:
    """Checksum of the current manifest at an address, or of the last one known."""
    url = joined(address, MANIFEST)
    path = cache_folder() / "presets" / "addresses" / f"{key_of(url)}.json"
    content = refreshed(url, path, LARGEST_MANIFEST, read_manifest)
    manifest = read_manifest(content, url)
    folder = cached_folder(manifest.sha256)
    if not (folder / MANIFEST).exists():
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / MANIFEST) as temporary:
            temporary.write_bytes(content)
    return manifest.sha256


def refreshed(
    url: str, path: Path, limit: int, read: Callable[[bytes, str], Any]
) -> bytes:
    """Downloads a small file that may have changed, and keeps a copy.

    The copy is used offline and, with a printed notice, if no server answers.

    Args:
        url: Address of the file.
        path: Path of the copy.
        limit: Maximum size in bytes.
        read: Function of content and address that raises `ZooError` for a file that is
            not the expected one.
    """
    if is_offline():
        if not path.exists():
            raise ZooError(f"{url} was never read, and {OFFLINE} is set.")
        return path.read_bytes()

    def fetch(path: Path) -> bytes:
        def check(part: Path) -> None:
            read(part.read_bytes(), url)

        return download(url, path, limit=limit, check=check, again=True).read_bytes()

    try:
        return fetch(path)
    except Unreachable as error:
        if not path.exists():
            raise
        day = time.strftime("%Y-%m-%d", time.localtime(path.stat().st_mtime))
        print(f"bptt-zoo: {error} Used is what it had on {day}.", file=sys.stderr)
        return path.read_bytes()
    except OSError as error:
        if error.errno not in (errno.EACCES, errno.EPERM, errno.EROFS):
            raise
        # A read-only cache may still hold all other files that are needed.
        with tempfile.TemporaryDirectory() as folder:
            return fetch(Path(folder) / path.name)


def cached_folder(manifest_sha256: str) -> Path:
    """The cache folder for the files of a manifest."""
    return cache_folder() / "presets" / manifest_sha256


def key_of(url: str) -> str:
    """A file name in the cache for the content of an address."""
    return hashlib.sha256(url.encode()).hexdigest()[:32]
