"""A text as the ids that a model reads, of its characters or its words."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from zoo.texts.text import Text, split
from zoo.texts.vocabulary import Vocabulary
from zoo.texts.words import Words, as_words


@dataclasses.dataclass(frozen=True)
class Encoded(abc.ABC):
    """A text, its vocabulary, and the ids of its parts."""

    text: Text
    vocabulary: Vocabulary | Words
    ids: dict[str, np.ndarray]

    @classmethod
    @abc.abstractmethod
    def of(cls, text: Text, vocabulary: Any = None) -> Any:
        """A text, encoded by its own vocabulary or by another."""

    @property
    def name(self) -> str:
        """Its name in reports."""
        return self.text.name

    @abc.abstractmethod
    def units(self, part: str) -> Sequence[str]:
        """The characters or words of a part."""

    @abc.abstractmethod
    def describe(self) -> dict[str, Any]:
        """Facts for the metadata of a model."""


@dataclasses.dataclass(frozen=True)
class Characters(Encoded):
    """A text as ids of its characters.

    Args:
        text: The `zoo.datasets.Text`.
        vocabulary: The vocabulary of its training part.
        ids: `{part: array (characters,)}`.
    """

    vocabulary: Vocabulary

    @classmethod
    def of(
        cls,
        text: Text,
        vocabulary: Vocabulary | None = None,
        *,
        at_most: int | None = None,
    ) -> Characters:
        """A text, encoded by its own vocabulary or by another."""
        vocabulary = vocabulary or Vocabulary.of(text.train, at_most)
        parts = {"train": text.train, "validation": text.validation}
        if text.test:
            parts["test"] = text.test
        return cls(
            text, vocabulary, {k: vocabulary.encode(v) for k, v in parts.items()}
        )

    def units(self, part: str) -> str:
        """The characters of a part."""
        return getattr(self.text, part)

    def describe(self) -> dict[str, Any]:
        """Facts for the metadata of a model."""
        unknown = self.ids["validation"] == self.vocabulary.unknown_id
        return self.text.describe() | {
            "vocabulary_size": self.vocabulary.size,
            "unknown_validation_characters": int(unknown.sum()),
        }


@dataclasses.dataclass(frozen=True)
class WordText(Encoded):
    """A text as ids of its words.

    Args:
        text: The `zoo.datasets.Text`.
        vocabulary: The `zoo.datasets.Words` of its training part.
        ids: `{part: array (words,)}`.
    """

    vocabulary: Words

    @classmethod
    def of(
        cls,
        text: Text,
        vocabulary: Words | None = None,
        *,
        min_count: int = 1,
        at_most: int | None = None,
    ) -> WordText:
        """A text, encoded by its own vocabulary or by another."""
        parts = _words_of(text)
        vocabulary = vocabulary or Words.of(parts["train"], min_count, at_most)
        ids = {part: vocabulary.encode(words) for part, words in parts.items()}
        return cls(text, vocabulary, ids)

    def units(self, part: str) -> list[str]:
        """The words of a part."""
        return _words_of(self.text)[part]

    def describe(self) -> dict[str, Any]:
        """Facts for the metadata of a model."""
        unknown = self.ids["validation"] == self.vocabulary.unknown_id
        return {
            "name": self.name,
            "sha256": self.text.sha256,
            **{f"{part}_words": len(ids) for part, ids in self.ids.items()},
            "vocabulary_size": self.vocabulary.size,
            "unknown_validation_words": int(unknown.sum()),
            **self.text.details,
        }


def vocabulary_of(processing: dict[str, Any]) -> Vocabulary | Words:
    """The vocabulary of characters or words of a trained text model.

    Args:
        processing: What a preset stores about how its model reads data.

    Raises:
        ValueError: If it is not a text model.
    """
    if "vocabulary" in processing:
        return Vocabulary(processing["vocabulary"])
    if "words" in processing:
        return Words(processing["words"])
    raise ValueError("This preset is no model of text: it has no vocabulary.")


def _words_of(text: Text) -> dict[str, list[str]]:
    """The words of a text's parts; a single text is cut between words."""
    tested = {"test": as_words(text.test)} if text.test else {}
    if text.fraction is None:
        train, validation = as_words(text.train), as_words(text.validation)
    else:
        # A cut between characters could split a word.
        train, validation = split(as_words(text.train + text.validation), text.fraction)
    return {"train": train, "validation": validation, **tested}
