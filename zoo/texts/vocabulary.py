"""Encodes characters as ids, and decodes ids."""

from __future__ import annotations

import collections
from collections.abc import Iterable

import numpy as np

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
SHOWN = 200  # the most characters in `known`
PIECE = 2**22  # characters that are encoded together, with 20 bytes each


class Vocabulary:
    """A character's id is its index among the sorted characters of the training text.

    All other characters share one extra id, the last (`unknown_id`). If all characters
    of the training text have an id, the unknown id never occurs there. So a model
    learns to give it almost no probability, and each unknown character in a validation
    text has a high cost.

    Args:
        characters: Distinct characters in ascending order.

    Raises:
        ValueError: If `characters` is empty, holds anything but single characters, or
            is not strictly ascending.

    Example:
        from zoo.datasets import Vocabulary

        vocabulary = Vocabulary.of("hello")
        assert list(vocabulary.encode("hole?")) == [1, 3, 2, 0, 4]
        assert vocabulary.decode([1, 0]) == "he"
    """

    UNIT = "characters"

    def __init__(self, characters: Iterable[str]):
        self.characters = tuple(characters)
        if not self.characters or any(
            not isinstance(c, str) or len(c) != 1 for c in self.characters
        ):
            raise ValueError(
                "`characters` must be one or more strings of one character each. "
                f"Received: characters={self.characters[:5]!s:.100}"
            )
        code_points = np.array([ord(c) for c in self.characters], np.uint32)
        if np.any(code_points[1:] <= code_points[:-1]):
            raise ValueError(
                "`characters` must be distinct and in ascending order. "
                f"Received: characters={self.characters[:5]!s:.100}..."
            )
        self._code_points = code_points

    @classmethod
    def of(cls, text: str, at_most: int | None = None) -> Vocabulary:
        """The vocabulary of a training text.

        Args:
            text: The training text.
            at_most: How many characters get an id, the most frequent first; None: all.
        """
        known = set(text)
        if at_most is not None and len(known) > at_most:
            counts = collections.Counter(text).most_common(at_most)
            known = {character for character, _ in counts}
        return cls(sorted(known))

    @property
    def unknown_id(self) -> int:
        """The id of all characters that have none of their own."""
        return len(self.characters)

    @property
    def size(self) -> int:
        """Number of ids: the distinct characters, plus the unknown id."""
        return len(self.characters) + 1

    @property
    def known(self) -> str:
        """A description of the known characters."""
        shown = repr("".join(self.characters[:SHOWN]))
        rest = len(self.characters) - SHOWN
        return f"{shown} and {rest:,} others" if rest > 0 else shown

    def encode(self, text: str) -> np.ndarray:
        """Encodes a text as ids.

        Args:
            text: Any text.

        Returns:
            int32 array of shape `(len(text),)`, values in `[0, size)`.
        """
        encoded = np.empty(len(text), np.int32)
        for start in range(0, len(text), PIECE):
            piece = text[start : start + PIECE]
            # Lone surrogates can come from a Python literal or argument, not a file.
            points = np.frombuffer(piece.encode("utf-32-le", "surrogatepass"), "<u4")
            ids = np.searchsorted(self._code_points, points)
            found = np.take(self._code_points, ids, mode="clip") == points
            encoded[start : start + PIECE] = np.where(found, ids, self.unknown_id)
        return encoded

    def decode(self, ids: Iterable[int]) -> str:
        """Decodes ids to a text; the unknown id becomes U+FFFD.

        Args:
            ids: Integers in `[0, size)`.

        Returns:
            A string with one character per id.
        """
        table = (*self.characters, REPLACEMENT)
        return "".join(table[int(i)] for i in ids)

    def missing(self, text: str) -> list[str]:
        """The distinct characters of a text that have no id of their own, sorted."""
        return sorted(set(text) - set(self.characters))
