"""From a name, a folder or an address to the checked files of a preset."""

from __future__ import annotations

import errno
import hashlib
import os
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from zoo.datasets.cache import cache_folder, usable_cache
from zoo.store.folder import CONFIG, find_preset
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
from zoo.store.manifest import (
    LARGEST_MANIFEST,
    MANIFEST,
    is_sha256,
    read_manifest,
    sha256_of,
)
from zoo.system.download import OFFLINE, Unreachable, download, is_offline
from zoo.system.errors import UserError, ZooError
from zoo.system.files import atomic_path
from zoo.system.suggestions import did_you_mean

MIRRORS = "BPTT_ZOO_MIRRORS"
_HERE = ("localhost", "127.0.0.1", "::1")


def from_preset(
    source: str | os.PathLike,
    *,
    sha256: str | None = None,
    mirrors: Sequence[str] = (),
):
    """A trained model, by name, from a folder or from an address.

    Files from the network are checked against their checksums when they arrive and
    each time they are used again, and kept in `$BPTT_ZOO_CACHE/presets` (default:
    `~/.cache/bptt_zoo/presets`). Nothing in them is run. With BPTT_ZOO_OFFLINE=1 in
    the environment no connection is opened.

    Args:
        source: A name of `list_presets()`; a preset folder, or the folder of a
            training run; `https://HOST/PATH`, a folder that `bptt-zoo publish` made;
            `hf://OWNER/REPOSITORY[/FOLDER][@REVISION]`, such a folder on the Hugging
            Face hub. A name comes before a folder of the same name: write `./name`.
        sha256: Checksum that the preset's manifest must have, in hexadecimal digits.
            None: that of the index for a name, any for an address or a folder.
        mirrors: Addresses of release folders that are tried for a name, in order,
            before those of the environment variable BPTT_ZOO_MIRRORS and of the index.

    Returns:
        A `Preset`.

    Raises:
        UserError: If there is no such preset, or its files are damaged.
        ZooError: If it cannot be downloaded, or is not what was published.

    Example:
        import zoo

        preset = zoo.from_preset("echo-8")
        print(preset.metadata["metric"], preset.model.count_params())
    """
    folder = locate(source, sha256=sha256, mirrors=mirrors)
    from zoo.store.preset import load_preset

    return load_preset(folder)


def locate(
    source: str | os.PathLike,
    *,
    sha256: str | None = None,
    mirrors: Sequence[str] = (),
) -> Path:
    """The folder with the checked files of a preset; see `from_preset`."""
    source = os.fspath(source)
    if sha256 is not None and not is_sha256(sha256):
        raise UserError(f"`sha256` must be 64 hexadecimal digits. Received: {sha256!r}")
    if not is_name(source):
        if mirrors:
            raise UserError(f"A mirror goes with a name. Received: {source!r}")
        if "://" in source:
            with usable_cache():
                return _fetch([_address(source)], sha256, source)
        return _checked_folder(source, sha256)
    found, found_at = _look_up(source, mirrors)
    if found is not None:
        if sha256 not in (None, found.manifest_sha256):
            raise ZooError(
                f"The preset {source} has another checksum than the one given: "
                f"{found.manifest_sha256}, not {sha256}."
            )
        return _by_name(found, found_at)
    return _checked_folder(source, sha256)


def index_at(mirror: str) -> Index:
    """The index of a release folder on a server.

    Raises:
        ZooError: If there is none, or it cannot be read.
    """
    url = _joined(_address(mirror), INDEX)
    _require_secure(url)
    path = cache_folder() / "presets" / "indexes" / f"{_key(url)}.json"
    with usable_cache():
        content = _refreshed(url, path, LARGEST, read_index)
    return read_index(content, url)


def require_address(source: str) -> None:
    """Refuses what is no address of a folder on a server.

    Raises:
        UserError: Says what an address is.
    """
    _address(source)


def _checked_folder(source: str, sha256: str | None) -> Path:
    if not os.path.exists(source):
        meant = did_you_mean(source, [*own_index().presets, *_presets_beside(source)])
        raise UserError(
            f"There is no preset {source!r}: no folder is called so, and no preset of "
            f"`bptt-zoo list`.{meant}"
        )
    folder = find_preset(source)
    if sha256 is not None:
        _check_folder(folder, sha256)
    return folder


def _presets_beside(source: str) -> list[str]:
    """Where a path leads to a preset if its last part is another one."""
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
    """What the package's index says of a name, or else those of the mirrors.

    A folder of that name is nobody's, unless mirrors were asked for.
    """
    index = own_index()
    mirrors = [*asked, *os.environ.get(MIRRORS, "").split()]
    if name in index.presets:
        return index.presets[name], [*mirrors, *index.mirrors]
    if not asked and os.path.isdir(name):
        return None, []
    failures, listed = [], []
    for place, mirror in enumerate(mirrors):
        try:
            release = index_at(mirror)
        except ZooError as error:
            failures.append(error)
            continue
        if name in release.presets:
            # Its checksum is known now, so it may come from anywhere.
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


def _by_name(found: Listed, mirrors: list[str]) -> Path:
    shipped = SHIPPED / found.name
    if shipped.is_dir():
        try:
            _check_folder(shipped, found.manifest_sha256)
        except (OSError, ZooError) as error:
            raise UserError(
                f"The preset {found.name} that came with the package is damaged: "
                f"{error} Install bptt_keras again."
            ) from None
        return shipped
    folder = _folder(found.manifest_sha256)
    if not mirrors and not (folder / MANIFEST).exists():
        raise UserError(
            f"The preset {found.name} comes by download, and no server is known that "
            f"has it. Name one with --from, `mirrors=` or {MIRRORS}."
        )
    addresses = [_joined(_address(mirror), found.name) for mirror in mirrors]
    with usable_cache():
        return _fetch(addresses, found.manifest_sha256, found.name)


def _fetch(addresses: list[str], sha256: str | None, label: str) -> Path:
    """The folder of a manifest in the cache, filled up from the first good address.

    A file that is there is used only if it is the one of the manifest, and deleted
    otherwise.
    """
    for address in addresses:
        _require_secure(address, pinned=sha256 is not None)
    if sha256 is None:
        (address,) = addresses
        sha256 = _current(address)
    folder = _folder(sha256)
    download(
        [_joined(address, MANIFEST) for address in addresses],
        folder / MANIFEST,
        check=lambda path: _check_manifest(path, sha256),
        limit=LARGEST_MANIFEST,
    )
    manifest = read_manifest((folder / MANIFEST).read_bytes(), label)
    for name, entry in manifest.files.items():
        download(
            [_joined(address, name) for address in addresses],
            folder / name,
            check=lambda path, name=name: manifest.check(name, path),
            limit=entry.size,
            size=entry.size,
            label=f"{label.rstrip('/').rpartition('/')[2]}/{name}",
        )
    return folder


def _current(address: str) -> str:
    """Checksum of the manifest that an address has now, or else that it had last."""
    url = _joined(address, MANIFEST)
    path = cache_folder() / "presets" / "addresses" / f"{_key(url)}.json"
    content = _refreshed(url, path, LARGEST_MANIFEST, read_manifest)
    manifest = read_manifest(content, url)
    folder = _folder(manifest.sha256)
    if not (folder / MANIFEST).exists():
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_path(folder / MANIFEST) as temporary:
            temporary.write_bytes(content)
    return manifest.sha256


def _refreshed(url: str, path: Path, limit: int, read) -> bytes:
    """A small file, read again as it may have changed, and kept at a path.

    What it was last is used offline, and, with a line that says so, where no server
    answers.
    """
    if is_offline():
        if not path.exists():
            raise ZooError(f"{url} was never read, and {OFFLINE} is set.")
        return path.read_bytes()

    def fetch(path):
        def check(part):
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
        # A cache that nobody may write to can still have all that is needed.
        with tempfile.TemporaryDirectory() as folder:
            return fetch(Path(folder) / path.name)


def _check_folder(folder: Path, sha256: str) -> None:
    path = folder / MANIFEST
    if not path.is_file():
        raise UserError(f"{folder} has no {MANIFEST} to compare with the checksum.")
    _check_manifest(path, sha256)
    manifest = read_manifest(path.read_bytes(), str(path))
    for name in manifest.files:
        manifest.check(name, folder / name)


def _check_manifest(path: Path, sha256: str) -> None:
    received = sha256_of(path)
    if received != sha256:
        raise ZooError(
            f"this is not the manifest that was published: expected sha256 {sha256}, "
            f"received {received}."
        )


def _address(source: str) -> str:
    """The http address of a source.

    Raises:
        UserError: If it is none.
    """
    if source.startswith("hf://"):
        return _on_hugging_face(source)
    try:
        parts = urlsplit(source)
    except ValueError as error:
        raise UserError(f"This is no address: {source!r} ({error}).") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UserError(
            "An address must begin with https://, http:// or hf://. Received: "
            f"{source!r}"
        )
    if parts.query or parts.fragment:
        raise UserError(
            f"An address must be that of a folder, without ? or #. Received: {source!r}"
        )
    return source


def _on_hugging_face(source: str) -> str:
    path, _, revision = source.removeprefix("hf://").partition("@")
    parts = path.rstrip("/").split("/")
    if len(parts) < 2 or not all(parts):
        raise UserError(
            "An address on the Hugging Face hub must be "
            f"hf://OWNER/REPOSITORY[/FOLDER][@REVISION]. Received: {source!r}"
        )
    host = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    return "/".join([host, *parts[:2], "resolve", revision or "main", *parts[2:]])


def _require_secure(address: str, *, pinned: bool = False) -> None:
    """Refuses a plain http address that anybody on the way could answer for."""
    parts = urlsplit(address)
    if parts.scheme == "http" and parts.hostname not in _HERE and not pinned:
        raise UserError(
            f"{address} is not protected against changes on the way. Use https://, or "
            "give the checksum that the preset must have (`sha256`)."
        )


def _joined(address: str, name: str) -> str:
    return f"{address.rstrip('/')}/{name}"


def _folder(manifest_sha256: str) -> Path:
    return cache_folder() / "presets" / manifest_sha256


def _key(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()[:32]
