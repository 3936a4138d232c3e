"""A text in two parts, and the file it may come from."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path

from zoo.errors import UserError

TRAIN_FRACTION = 0.9
SHORTEST = 100


@dataclasses.dataclass(frozen=True)
class Text:
    """A named text in parts.

    Args:
        name: What reports call it.
        train: The first 90 % of the characters, rounded down, or a part of its own.
        validation: The rest, or a part of its own.
        test: A third part, which no choice may look at; "" if there is none.
        details: Facts for the metadata of a model, such as where it comes from.
    """

    name: str
    train: str
    validation: str
    test: str = ""
    details: dict = dataclasses.field(default_factory=dict)

    @classmethod
    def cut(cls, name: str, text: str, **details) -> Text:
        """Cuts a text at 90 % of its characters, rounded down."""
        return cls(name, *split(text), details=details)

    @property
    def sha256(self) -> str:
        """Checksum of the whole text in UTF-8, as a hexadecimal string."""
        return sha256(self.train + self.validation + self.test)

    def describe(self) -> dict:
        """Name, checksum, sizes in characters and details, ready for JSON."""
        return {
            "name": self.name,
            "sha256": self.sha256,
            "train_characters": len(self.train),
            "validation_characters": len(self.validation),
            **({"test_characters": len(self.test)} if self.test else {}),
            **self.details,
        }


def split(text):
    """The first 90 % of the characters, or of a list's words, and the rest."""
    cut = int(TRAIN_FRACTION * len(text))
    return text[:cut], text[cut:]


def sha256(text: str) -> str:
    """Checksum of a text in UTF-8, as a hexadecimal string."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def from_file(path: str | os.PathLike) -> Text:
    """The user's own text file, cut 90/10.

    Args:
        path: A file in UTF-8, with or without a byte order mark. Line endings are
            kept as they are.

    Returns:
        A `Text` named after the file.

    Raises:
        UserError: If the file is missing, unreadable, not UTF-8 text, or shorter
            than 100 characters.
    """
    path, text = Path(path), read_text(path)
    if len(text) < SHORTEST:
        raise UserError(
            f"`--data` needs at least {SHORTEST} characters, but {path} has "
            f"{len(text)}."
        )
    return Text.cut(path.name, text, source="own file")


def read_text(path: str | os.PathLike) -> str:
    """A text file of the user's own, as it stands.

    Args:
        path: A file in UTF-8, with or without a byte order mark.

    Raises:
        UserError: If the file is missing, unreadable, or not UTF-8 text.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise UserError(f"`--data` names a file that does not exist: {path}.") from None
    except OSError as error:
        raise UserError(
            f"`--data` cannot be read as a file: {path} ({error.strerror})."
        ) from None
    if b"\0" in content:
        raise UserError(f"`--data` must be a text file, but {path} is binary.")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            f"`--data` must be text in UTF-8, but {path} is not at byte {error.start}. "
            "Convert it first, for example with iconv."
        ) from None
