"""A text in two or three parts."""

from __future__ import annotations

import dataclasses
import hashlib

VALIDATION = 0.1


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
    details: dict = dataclasses.field(default_factory=dict)
    fraction: float | None = None

    @classmethod
    def cut(cls, name: str, text: str, fraction: float = VALIDATION, **details) -> Text:
        """Cuts a text: the last 10 % of its characters validate, rounded up."""
        parts = split(text, fraction)
        return cls(name, *parts, details=details, fraction=fraction)

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


def split(text, fraction: float = VALIDATION):
    """The first characters, or those of a list of words, and the last `fraction`."""
    cut = int((1 - fraction) * len(text))
    return text[:cut], text[cut:]


def sha256(text: str) -> str:
    """Checksum of a text in UTF-8, as a hexadecimal string."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()
