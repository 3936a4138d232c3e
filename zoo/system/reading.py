"""Reads untrusted files so that none can hang the process or exhaust the memory."""

from __future__ import annotations

import errno
import functools
import json
import os
import re
import stat
import sys
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any, BinaryIO

from zoo.system import limits
from zoo.system.errors import UserError

LARGEST_FILE = limits.FILE


def read_bytes(
    path: str | os.PathLike, *, at_most: int = LARGEST_FILE, option: str = "`--data`"
) -> bytes:
    """Reads a regular file, after checking its size.

    Args:
        path: The file.
        at_most: Maximum size in bytes.
        option: The option that names it, for the error.

    Raises:
        UserError: If it is missing, cannot be read, is too large, or is a folder, a
            pipe or a device.

    Example:
        from pathlib import Path
        from zoo.system.reading import read_bytes

        Path("few.txt").write_text("few")
        assert read_bytes("few.txt", at_most=10) == b"few"
    """
    try:
        return _content(path, at_most)
    except FileNotFoundError:
        raise UserError(f"{option} names a file that does not exist: {path}.") from None
    except (OSError, ValueError) as error:
        raise UserError(
            f"{option} cannot be read as a file: {path} ({_reason(error)})."
        ) from None


def read_json(
    path: str | os.PathLike, *, at_most: int = limits.JSON, what: str = "The file"
) -> Any:
    """Reads a JSON file, nested no deeper than `zoo.system.limits.DEPTH`.

    Args:
        path: The file.
        at_most: Maximum size in bytes.
        what: Name of the file, which begins the error.

    Raises:
        UserError: If it is missing, too large, not a regular file, or not such JSON.

    Example:
        from pathlib import Path
        from zoo.system.reading import read_json

        Path("few.json").write_text('{"few": [1, 2]}')
        assert read_json("few.json") == {"few": [1, 2]}
    """
    try:
        return parse_json(_content(path, at_most))
    except FileNotFoundError:
        raise UserError(f"{what} {path} is missing.") from None
    except (OSError, ValueError) as error:
        raise UserError(f"{what} {path} is damaged: {_reason(error)}.") from None


def parse_json(content: bytes) -> Any:
    """Parses a JSON text.

    Args:
        content: The text in UTF-8, whose size has been checked.

    Raises:
        ValueError: If it is not JSON in UTF-8, is nested deeper than
            `zoo.system.limits.DEPTH`, has more objects and lists than `CONTAINERS`
            there, or contains text that is not Unicode.

    Example:
        from zoo.system.reading import parse_json

        assert parse_json(b'{"few": [1, 2]}') == {"few": [1, 2]}
    """
    if content.count(b"{") + content.count(b"[") > limits.CONTAINERS:
        raise ValueError(f"it has more than {limits.CONTAINERS:,} objects and lists")
    try:
        value = json.loads(content.decode("utf-8"))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    level, depth = [value], 0
    while level := [item for item in level if isinstance(item, dict | list)]:
        depth += 1
        if depth > limits.DEPTH:
            raise ValueError(_TOO_DEEP)
        level = [item for outer in level for item in _items(outer)]
    if re.search(rb"\\u[dD][89a-fA-F]", content):
        # Fails for a lone surrogate, which cannot be written or printed.
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def require_plain(value: Any) -> None:
    """Refuses text that cannot be shown on a terminal, or that controls it.

    Raises:
        ValueError: If a string in a JSON value has a control character or a lone
            surrogate.
    """
    if isinstance(value, str):
        if any(unicodedata.category(c) in ("Cc", "Cs") for c in value):
            raise ValueError(f"{value!r:.100} has a control character")
    elif isinstance(value, dict):
        for item in value.items():
            require_plain(list(item))
    elif isinstance(value, list):
        for item in value:
            require_plain(item)


_TOO_DEEP = f"it is nested more than {limits.DEPTH} deep"


def _items(outer: dict | list) -> Iterable[Any]:
    return outer.values() if isinstance(outer, dict) else outer


def _content(path: str | os.PathLike, at_most: int) -> bytes:
    """The content of a regular file.

    Raises:
        OSError: If it cannot be opened or read, or is not a regular file.
        ValueError: If it is too large, or its name is invalid.
    """
    with open_regular(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > at_most:
            raise ValueError(f"it has {size:,} bytes, and at most {at_most:,} are read")
        # One byte more than allowed: the file may have grown, or be endless.
        content = file.read(at_most + 1)
    if len(content) > at_most:
        raise ValueError("it grows without end")
    return content


def open_regular(path: str | os.PathLike) -> BinaryIO:
    """Opens a file for reading, unless it is one that might never end.

    Raises:
        OSError: If it cannot be opened, or is a folder, a pipe or a device.
        ValueError: If its name is invalid.

    Example:
        from pathlib import Path
        from zoo.system.reading import open_regular

        Path("few.txt").write_text("few")
        with open_regular("few.txt") as file:
            assert file.read() == b"few"
    """
    # Without blocking: otherwise opening a pipe without a writer never returns.
    file = open(Path(path), "rb", opener=_opener)  # noqa: SIM115
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        words = "it is a pipe or a device, and must be a regular file"
        raise OSError(errno.EINVAL, words)
    return file


def name_of(path: str | os.PathLike) -> str:
    """The name of a file or folder, in a form that JSON, terminals and plots can show.

    Example:
        from zoo.system.reading import name_of

        assert name_of("texts/my.txt") == "my.txt"
        assert name_of("a" + chr(0xDCFF) + chr(10)) == "a" + 2 * chr(0xFFFD)
    """
    hidden = ("Cc", "Cs")  # control characters, and bytes that are not UTF-8
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(c) in hidden else c
        for c in Path(path).name
    )


@functools.cache
def say(line: str) -> None:
    """Prints, once per process, how irregular data were read."""
    print(line, file=sys.stderr, flush=True)


def _opener(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _reason(error: Exception) -> str:
    """The message of an error, cut short: it may contain parts of a file."""
    words = str(getattr(error, "strerror", None) or error)
    return words if len(words) <= 300 else f"{words[:300]}..."
