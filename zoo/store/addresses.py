"""Addresses of folders on servers: which are valid, and which may be trusted."""

from __future__ import annotations

import os
from urllib.parse import urlsplit

from zoo.system.errors import UserError

_HERE = ("localhost", "127.0.0.1", "::1")


def address_of(source: str) -> str:
    """The http address of a source.

    Raises:
        UserError: If it is not a valid address.
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


def require_secure(address: str, *, pinned: bool = False) -> None:
    """Refuses a plain http address, whose answers could be forged on the network."""
    parts = urlsplit(address)
    if parts.scheme == "http" and parts.hostname not in _HERE and not pinned:
        raise UserError(
            f"{address} is not protected against changes on the way. Use https://, or "
            "give the checksum that the preset must have (`sha256`)."
        )


def joined(address: str, name: str) -> str:
    """The address of a file in a folder."""
    return f"{address.rstrip('/')}/{name}"


def require_address(source: str) -> None:
    """Refuses a value that is not the address of a folder on a server.

    Raises:
        UserError: Says what an address looks like.
    """
    address_of(source)
