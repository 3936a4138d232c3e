"""Characters to ids and back."""

from __future__ import annotations

import collections
from collections.abc import Iterable

import numpy as np

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
SHOWN = 200  # characters that `known` has
PIECE = 2**22  # characters that are encoded at once, with 20 bytes each


class Vocabulary:
    """A character's id is its place among the sorted characters of the training text.

    One more id, the last, stands for every other character (`unknown_id`). Where all
    characters of the training text have an id, it never occurs there, so a model learns
    to give it next to no probability, and a validation text pays the full price for
    each character of that kind.

    Args:
        characters: Distinct characters in ascending order.

    Raises:
        ValueError: If `characters` is empty, holds something else than single
            characters, or is not strictly ascending.

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
                f"Received: characters={self.characters[:5]}"
            )
        code_points = np.array([ord(c) for c in self.characters], np.uint32)
        if np.any(code_points[1:] <= code_points[:-1]):
            raise ValueError(
                "`characters` must be distinct and in ascending order. "
                f"Received: characters={self.characters[:5]}..."
            )
        self._code_points = code_points

    @classmethod
    def of(cls, text: str, at_most: int | None = None) -> Vocabulary:
        """The vocabulary of a training text.

        Args:
            text: All of it.
            at_most: How many characters get an id, the most frequent ones; None: all.
        """
        known = set(text)
        if at_most is not None and len(known) > at_most:
            counts = collections.Counter(text).most_common(at_most)
            known = {character for character, _ in counts}
        return cls(sorted(known))

    @property
    def unknown_id(self) -> int:
        """The id of every character that the training text does not have."""
        return len(self.characters)

    @property
    def size(self) -> int:
        """Number of ids: the distinct characters, and the unknown one."""
        return len(self.characters) + 1

    @property
    def known(self) -> str:
        """What it knows, in words."""
        shown = repr("".join(self.characters[:SHOWN]))
        rest = len(self.characters) - SHOWN
        return f"{shown} and {rest:,} others" if rest > 0 else shown

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text.

        Args:
            text: Any text.

        Returns:
            int32 array of shape `(len(text),)`, values in `[0, size)`.
        """
        encoded = np.empty(len(text), np.int32)
        for start in range(0, len(text), PIECE):
            piece = text[start : start + PIECE]
            # Lone surrogates come from a Python literal or an argument, never a file.
            points = np.frombuffer(piece.encode("utf-32-le", "surrogatepass"), "<u4")
            ids = np.searchsorted(self._code_points, points)
            found = np.take(self._code_points, ids, mode="clip") == points
            encoded[start : start + PIECE] = np.where(found, ids, self.unknown_id)
        return encoded

    def decode(self, ids: Iterable[int]) -> str:
        """The text of some ids; the unknown id becomes U+FFFD.

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
