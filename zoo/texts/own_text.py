"""Reads the user's own text: one file, or one for each part."""

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
# Bytes. Reading takes four copies, one of them with four bytes per character.
LARGEST = 256 * 2**20
# Longer marks first: that of UTF-32 begins with that of UTF-16.
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
    """Reads the user's own text, and prints in one line what it had to change.

    Args:
        path: A text file, in UTF-8 or with a byte order mark. Its lines may end with
            CRLF or CR, which are read as LF.
        validation: Fraction for validation, from the end, in (0, 0.5]; or a separate
            file.
        test: A separate file for the test; None: no test.
        encoding: Encoding of all files if it is not UTF-8, such as "cp1252".

    Returns:
        A `Text` named after the file.

    Raises:
        UserError: If a file is missing, unreadable, not text or too long, the text has
            less than 100 characters, or a value is out of range.

    Example:
        from pathlib import Path
        from zoo.datasets import from_file

        Path("my.txt").write_bytes(100 * b"to be or not to be" + bytes([13, 10]))
        assert from_file("my.txt").train.startswith("to be or not to be")
    """
    path = Path(path)
    fraction = fraction_of(validation)
    text = _read_with_notice(path, "`--data`", encoding)
    if len(text) < SHORTEST:
        raise UserError(
            f"`--data` needs at least {SHORTEST} characters, but {path} has "
            f"{len(text)}."
        )
    details = {"source": "own file" if fraction and test is None else "own files"}
    tested = _read_with_notice(test, "`--test`", encoding) if test is not None else ""
    if fraction is None:
        file = cast("str | os.PathLike", validation)
        validated = _read_with_notice(file, "`--validation`", encoding)
        return Text(name_of(path), text, validated, tested, details)
    whole = Text.cut(name_of(path), text, fraction, **details)
    return dataclasses.replace(whole, test=tested)


def read_text(
    path: str | os.PathLike, option: str = "`--data`", encoding: str | None = None
) -> str:
    """Reads a text file of the user's, with line endings converted to LF.

    Args:
        path: A file in UTF-8, or with a byte order mark.
        option: The option that names it, for the error.
        encoding: A different encoding; a byte order mark takes precedence.

    Raises:
        UserError: If the file is missing, unreadable, too long, or not text.
    """
    return _read(path, option, encoding)[0]


def _read_with_notice(
    path: str | os.PathLike, option: str, encoding: str | None
) -> str:
    """Reads a text file, and prints in one line what had to be changed."""
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
    """The text with line endings CRLF and CR converted to LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def fraction_of(validation: float | str | os.PathLike) -> float | None:
    """The value of `--validation` as a number, or None for a file.

    Raises:
        UserError: If the number is out of range.
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
            text.encode("utf-8")  # some encodings yield lone surrogates
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
