"""Characters to ids and back."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class Vocabulary:
    """A character's id is its place among the sorted characters of the training text.

    One more id, the last, stands for every other character (`unknown_id`). It never
    occurs in the training text, so a model learns to give it next to no probability,
    and a validation text pays the full price for each character of that kind.

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
    def of(cls, text: str) -> Vocabulary:
        """The vocabulary of a training text."""
        return cls(sorted(set(text)))

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
        return repr("".join(self.characters))

    def encode(self, text: str) -> np.ndarray:
        """The ids of a text.

        Args:
            text: Any text.

        Returns:
            int32 array of shape `(len(text),)`, values in `[0, size)`.
        """
        # Lone surrogates can only come from a Python literal, never from a file.
        points = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32)
        ids = np.searchsorted(self._code_points, points)
        found = np.take(self._code_points, ids, mode="clip") == points
        return np.where(found, ids, self.unknown_id).astype(np.int32)

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
