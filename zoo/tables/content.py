"""Reads the lines of a table's file, within limits that no file can evade."""

from __future__ import annotations

import dataclasses
import os
import re
import zlib
from typing import NoReturn

from zoo.system.errors import UserError
from zoo.system.reading import read_bytes

LARGEST_TABLE = 64 * 2**20  # bytes, unpacked
MOST_LINES = 1_000_000
LONGEST_LINE = 1_000_000  # characters: 10,000 columns of 100
LONGEST_QUOTE = 3  # line breaks in a quoted field, which some headings have
_END = re.compile(r"\r\n|\n|\r")
QUOTED = re.compile(r'"[^"]*"')
_FORMATS = {
    b"PK\x03\x04": "a zip file or a spreadsheet",
    b"\xd0\xcf\x11\xe0": "a spreadsheet",
    b"PAR1": "a Parquet file",
}


@dataclasses.dataclass(frozen=True)
class Lines:
    """The lines of a table in a file, without blank lines and comments.

    Args:
        texts: The lines.
        numbers: Their line numbers in the file, counted from 1.
        delimiter: The delimiter that the file declares (`sep=;`); None: none.
        comment: The last comment before the first row, which may be a heading.
    """

    texts: list[str]
    numbers: list[int]
    delimiter: str | None = None
    comment: str | None = None


def read_lines(path: str | os.PathLike) -> Lines:
    """Reads the lines of a table.

    Args:
        path: A text file in UTF-8, or UTF-16 with a byte order mark; it may be packed
            with gzip. Lines that begin with `#` are comments.

    Raises:
        UserError: If it cannot be read, is not text, or is too large.
    """
    text = _decoded(_unpacked(read_bytes(path, at_most=LARGEST_TABLE), path), path)
    every = _lines(text, path)
    if any(line.count('"') % 2 for line in every if '"' in line):
        every = _lines(_flat(text, path), path)
    delimiter, comment = None, None
    texts: list[str] = []
    numbers: list[int] = []
    for number, line in enumerate(every, start=1):
        if number == 1 and re.fullmatch(r'"?sep=.?"?', line):
            delimiter = line.strip('"')[4:] or None
        elif line.startswith("#"):
            comment = comment if texts else line.lstrip("# \t")
        elif line and not line.isspace():
            texts.append(line)
            numbers.append(number)
    if not texts:
        raise UserError(f"`--data` has no rows: {path}.")
    return Lines(texts, numbers, delimiter, comment)


def _lines(text: str, path: str | os.PathLike) -> list[str]:
    if max(text.count("\n"), text.count("\r")) > MOST_LINES:
        raise UserError(f"`--data` has more than {MOST_LINES:,} lines: {path}.")
    lines = _END.split(text)
    longest = max(map(len, lines))
    if longest > LONGEST_LINE:
        number = next(i for i, line in enumerate(lines, 1) if len(line) == longest)
        raise UserError(
            f"`--data` cannot be read as a table: line {number} of {path} has "
            f"{longest:,} characters, at most {LONGEST_LINE:,} are read."
        )
    return lines


def _unpacked(content: bytes, path: str | os.PathLike) -> bytes:
    """Unpacks gzip content, up to the limit."""
    if not content.startswith(b"\x1f\x8b"):
        return content
    pieces, size = [], 0
    try:
        # A file may consist of several gzip members.
        while content.startswith(b"\x1f\x8b"):
            unpacker = zlib.decompressobj(wbits=31)
            pieces.append(unpacker.decompress(content, LARGEST_TABLE + 1 - size))
            size += len(pieces[-1])
            if size > LARGEST_TABLE:
                raise UserError(
                    f"`--data` unpacks to more than {LARGEST_TABLE:,} bytes: {path}."
                )
            if not unpacker.eof:
                raise UserError(f"`--data` is cut off in its packed data: {path}.")
            content = unpacker.unused_data
    except zlib.error as error:
        raise UserError(f"`--data` cannot be unpacked: {path} ({error}).") from None
    return b"".join(pieces)


def _decoded(content: bytes, path: str | os.PathLike) -> str:
    for magic, kind in _FORMATS.items():
        if content.startswith(magic):
            raise UserError(f"`--data` is {kind}: {path}. Save the table as CSV.")
    wide = content.startswith((b"\xff\xfe", b"\xfe\xff"))
    if not wide and b"\0" in content:
        raise UserError(f"`--data` must be a text file, but {path} is binary.")
    encoding = "utf-16" if wide else "utf-8-sig"
    try:
        # Files that were put together have a mark of the encoding elsewhere, too.
        return content.decode(encoding).replace("\ufeff", "")
    except UnicodeDecodeError as error:
        raise UserError(
            f"`--data` must be text in UTF-8, but {path} is not at byte {error.start}. "
            "Convert it first, for example with iconv."
        ) from None


def _flat(text: str, path: str | os.PathLike) -> str:
    """The text, with line breaks in quoted fields replaced by spaces."""

    def flatten(match: re.Match[str]) -> str:
        field = match.group()
        if "\n" not in field and "\r" not in field:
            return field
        if field.count("\n") > LONGEST_QUOTE or field.count("\r") > LONGEST_QUOTE:
            _refuse_quote(text, match.start(), path)
        return re.sub(r"[\r\n]+", " ", field)

    if text.count('"') % 2:
        # The unclosed quote is the first whose field spans too many lines, or else the
        # last one.
        opened = next(
            (m.start() for m in QUOTED.finditer(text) if m.group().count("\n") > 3),
            text.rindex('"'),
        )
        _refuse_quote(text, opened, path)
    return QUOTED.sub(flatten, text)


def _refuse_quote(text: str, place: int, path: str | os.PathLike) -> NoReturn:
    line = len(_END.findall(text, 0, place)) + 1
    raise UserError(
        f"`--data` cannot be read as a table: the quote in line {line} of {path} is "
        "not closed."
    )
