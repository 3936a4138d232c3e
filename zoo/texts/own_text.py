"""A text of the user's own: one file, or one for each part."""

from __future__ import annotations

import codecs
import dataclasses
import os
import re
from pathlib import Path
from typing import cast

from zoo.system.errors import UserError
from zoo.system.reading import name_of, read_bytes, say
from zoo.texts.text import VALIDATION, Text

SHORTEST = 100
# Bytes. Four copies of it are needed, one of them with four bytes a character.
LARGEST = 256 * 2**20
# The longer mark first: that of UTF-32 begins like that of UTF-16.
MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}


def from_file(
    path: str | os.PathLike,
    *,
    validation: float | str | os.PathLike = VALIDATION,
    test: str | os.PathLike | None = None,
    encoding: str | None = None,
) -> Text:
    """The user's own text. What had to be changed in it is said in one line.

    Args:
        path: A text file, in UTF-8 or with a byte order mark. Its lines may end with
            CRLF or CR, which are read as LF.
        validation: What fraction of it validates, the end, in (0, 0.5]; or a file of
            its own for that.
        test: A file of its own that tests; None: nothing does.
        encoding: Of all files, for those in another one, such as "cp1252".

    Returns:
        A `Text` named after the file.

    Raises:
        UserError: If a file is missing, unreadable, no text or too long, the text has
            less than 100 characters, or a value is out of its range.

    Example:
        from pathlib import Path
        from zoo.datasets import from_file

        Path("my.txt").write_bytes(100 * b"to be or not to be" + bytes([13, 10]))
        assert from_file("my.txt").train.startswith("to be or not to be")
    """
    path = Path(path)
    fraction = fraction_of(validation)
    text = _told(path, "`--data`", encoding)
    if len(text) < SHORTEST:
        raise UserError(
            f"`--data` needs at least {SHORTEST} characters, but {path} has "
            f"{len(text)}."
        )
    details = {"source": "own file" if fraction and test is None else "own files"}
    tested = _told(test, "`--test`", encoding) if test is not None else ""
    if fraction is None:
        file = cast("str | os.PathLike", validation)
        validated = _told(file, "`--validation`", encoding)
        return Text(name_of(path), text, validated, tested, details)
    whole = Text.cut(name_of(path), text, fraction, **details)
    return dataclasses.replace(whole, test=tested)


def read_text(
    path: str | os.PathLike, option: str = "`--data`", encoding: str | None = None
) -> str:
    """A text file of the user's own, each of its lines ended by LF.

    Args:
        path: A file in UTF-8, or with a byte order mark.
        option: What names it, for the error.
        encoding: Another encoding; a byte order mark goes before.

    Raises:
        UserError: If the file is missing, unreadable, too long, or no text.
    """
    return _read(path, option, encoding)[0]


def _told(path: str | os.PathLike, option: str, encoding: str | None) -> str:
    """A text file, whose changes are said in one line."""
    text, changes = _read(path, option, encoding)
    if changes:
        say(
            f"read {name_of(path)}: {len(text):,} characters, {len(set(text)):,} "
            f"different, {', '.join(changes)}"
        )
    return text


def _read(
    path: str | os.PathLike, option: str, encoding: str | None
) -> tuple[str, list[str]]:
    path = Path(path)
    content = read_bytes(path, at_most=LARGEST, option=option)
    changes = []
    mark = next((m for m in MARKS if content.startswith(m)), b"")
    if mark:
        encoding, content = MARKS[mark], content[len(mark) :]
        changes.append(f"{encoding.upper()[:6].rstrip('-')} with a byte order mark")
    text = _decoded(content, path, option, "utf-8" if encoding is None else encoding)
    del content
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UserError(
            f"{option} must be a text file, but {path} is binary: line {line} has a "
            "null character. UTF-16 needs a byte order mark or --encoding utf-16-le."
        )
    endings = [name for name, ending in _ENDINGS.items() if re.search(ending, text)]
    if endings:
        text = universal(text)
        changes.append(f"line endings {' and '.join(endings)} read as LF")
    return text, changes


_ENDINGS = {"CRLF": "\r\n", "CR": "\r(?!\n)"}


def universal(text: str) -> str:
    """A text whose lines end with LF, where some ended with CRLF or CR."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def fraction_of(validation: float | str | os.PathLike) -> float | None:
    """The number that `--validation` is, or None for a file.

    Raises:
        UserError: If the number is out of its range.
    """
    if isinstance(validation, os.PathLike):
        return None
    try:
        fraction = float(validation)
    except (TypeError, ValueError):
        return None
    if not 0 < fraction <= 0.5:
        raise UserError(
            "`--validation` must be a fraction in (0, 0.5], or a file. Received: "
            f"{validation}"
        )
    return fraction


def _decoded(content: bytes, path: Path, option: str, encoding: str) -> str:
    try:
        text = content.decode(encoding)
        if encoding not in MARKS.values():
            text.encode("utf-8")  # some encodings give halves of characters
        return text
    except UnicodeDecodeError as error:
        byte, line = error.start, content.count(b"\n", 0, error.start) + 1
        found = content[byte : byte + 1].hex()
        other = "" if encoding == "cp1252" else " such as --encoding cp1252,"
        raise UserError(
            f"{option} must be text in {encoding.upper()}, but {path} is not at byte "
            f"{byte} (line {line}, 0x{found}). Say what it is,{other} or convert it: "
            f"iconv -f WINDOWS-1252 -t UTF-8 {path.name} > new.txt"
        ) from None
    except UnicodeError as error:
        raise UserError(f"{option} is no text in {encoding}: {path}: {error}") from None
    except (LookupError, ValueError):
        raise UserError(
            "`--encoding` must be a text encoding that Python knows, such as cp1252, "
            f"utf-16 or gb18030. Received: {encoding}"
        ) from None
