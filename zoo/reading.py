"""Files of the user's own, opened so that no file can hang or fill the machine."""

from __future__ import annotations

import functools
import os
import stat
import sys
import unicodedata
from pathlib import Path

from zoo.errors import UserError

# Bytes of a file that is read at once. Three copies of a text must fit in memory.
LARGEST_FILE = 512 * 2**20


def read_bytes(
    path: str | os.PathLike, *, at_most: int = LARGEST_FILE, option: str = "`--data`"
) -> bytes:
    """The content of a regular file, whose size is looked at before it is read.

    Args:
        path: The file.
        at_most: Bytes that it may have.
        option: What names it, for the error.

    Raises:
        UserError: If it is missing, cannot be read, is larger, or is a folder, a pipe
            or a device.

    Example:
        from pathlib import Path
        from zoo.reading import read_bytes

        Path("few.txt").write_text("few")
        assert read_bytes("few.txt", at_most=10) == b"few"
    """
    path = Path(path)
    try:
        # Without waiting: a pipe without a writer never opens otherwise.
        with open(path, "rb", opener=_opener) as file:
            facts = os.fstat(file.fileno())
            if not stat.S_ISREG(facts.st_mode):
                raise UserError(
                    f"{option} must name a regular file: {path} is a pipe or a device."
                )
            if facts.st_size > at_most:
                raise UserError(
                    f"{option} names a file of {facts.st_size:,} bytes: {path}. At "
                    f"most {at_most:,} are read."
                )
            # One byte more than it had: it may grow, and be endless.
            content = file.read(at_most + 1)
    except FileNotFoundError:
        raise UserError(f"{option} names a file that does not exist: {path}.") from None
    except (OSError, ValueError) as error:  # ValueError: a null byte in the name
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{option} cannot be read as a file: {path} ({reason})."
        ) from None
    if len(content) > at_most:
        raise UserError(f"{option} names a file that grows without end: {path}.")
    return content


def name_of(path: str | os.PathLike) -> str:
    """The name of a file or folder, as JSON, terminals and plots can show it.

    Example:
        from zoo.reading import name_of

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
    """Tells, once in a process, how data were read that are not as they should be."""
    print(line, file=sys.stderr, flush=True)


def _opener(path, flags):
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
