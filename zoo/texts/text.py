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
        name: What reports call it.
        train: The characters before the cut, or a part of its own.
        validation: The rest, or a part of its own.
        test: A third part, which no choice may look at; "" if there is none.
        details: Facts for the metadata of a model, such as where it comes from.
        fraction: What fraction of one text validates; None: the part is of its own.
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
        """Cuts a text: the last 10 % of its characters validate, rounded up."""
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
    """The first characters, or those of a list of words, and the last `fraction`."""
    cut = int((1 - fraction) * len(text))
    return text[:cut], text[cut:]


def sha256(text: str) -> str:
    """Checksum of a text in UTF-8, as a hexadecimal string."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def as_characters(text: str) -> str:
    """A text of words as the usual character task has it.

    Each line is stripped and ends with one newline; nothing else changes, so a word
    is followed by a space or the end of its line. Counted with one character a space,
    the Penn Treebank has 5,017,482, 393,042 and 442,423.
    """
    return "".join(f"{line.strip()}\n" for line in text.splitlines())
