"""A text in two or three parts."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any, TypeVar

VALIDATION = 0.1
Sliced = TypeVar("Sliced", str, list[str])


@dataclasses.dataclass(frozen=True)
class Text:
    """A named text in parts.

    Args:
        name: Its name in reports.
        train: The characters before the cut, or a separate text.
        validation: The rest, or a separate text.
        test: A third part, which no choice may depend on; "" if there is none.
        details: Facts for a model's metadata, such as the source.
        fraction: Fraction of a single text for validation; None: separate texts.
    """

    name: str
    train: str
    validation: str
    test: str = ""
    details: dict[str, Any] = dataclasses.field(default_factory=dict)
    fraction: float | None = None

    @classmethod
    def cut(
        cls, name: str, text: str, fraction: float = VALIDATION, **details: Any
    ) -> Text:
        """Cuts a text: by default its last 10 %, rounded up, are for validation."""
        train, validation = split(text, fraction)
        return cls(name, train, validation, details=details, fraction=fraction)

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


def split(text: Sliced, fraction: float = VALIDATION) -> tuple[Sliced, Sliced]:
    """Splits a text or a list of words: the first part, and the last `fraction`."""
    cut = int((1 - fraction) * len(text))
    return text[:cut], text[cut:]


def sha256(text: str) -> str:
    """Checksum of a text in UTF-8, as a hexadecimal string."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def as_characters(text: str) -> str:
    """A text of words in the form of the usual character-level task.

    Each line is stripped and ends with one newline; nothing else changes, so a word is
    followed by a space or the end of its line. With one character per space, the Penn
    Treebank has 5,017,482, 393,042 and 442,423 characters.
    """
    return "".join(f"{line.strip()}\n" for line in text.splitlines())
