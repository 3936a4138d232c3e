"""Encodes words as ids, and decodes ids."""

from __future__ import annotations

import collections
from collections.abc import Iterable

import numpy as np

UNKNOWN, EOS = "<unk>", "<eos>"
LONGEST_WORD = 100


class Words:
    """A word's id is its index in a list; `<unk>` stands for every other word.

    Words are separated by white space, and `<eos>` is the end of a line.

    Args:
        words: Distinct words, including `<unk>` and `<eos>`.

    Raises:
        ValueError: If `words` holds anything but words, has duplicates, or lacks
            `<unk>` or `<eos>`.

    Example:
        from zoo.datasets import Words

        words = Words.of("a rose is a rose <eos>".split())
        assert words.words == ("a", "rose", "is", "<eos>", "<unk>")
        assert list(words.encode("a tulip")) == [0, words.unknown_id]
        assert words.decode([0, 1, 3, 2]) == " a rose" + chr(10) + "is"
    """

    UNIT = "words"

    def __init__(self, words: Iterable[str]):
        self.words = tuple(words)
        for word in self.words:
            if not isinstance(word, str) or word.split() != [word]:
                raise ValueError(
                    "`words` must be strings without white space. Received: "
                    f"{word!r:.100} among them"
                )
        self._ids = {word: index for index, word in enumerate(self.words)}
        if len(self._ids) < len(self.words):
            raise ValueError(
                f"`words` must be distinct. Received: {len(self.words)} words, "
                f"{len(self._ids)} of them distinct"
            )
        for word in (UNKNOWN, EOS):
            if word not in self._ids:
                raise ValueError(f"`words` must have {word}. Received: none")

    @classmethod
    def of(
        cls, words: Iterable[str], min_count: int = 1, at_most: int | None = None
    ) -> Words:
        """The vocabulary of a training text, the most frequent word first.

        Texts of more than 100 characters are not real words and get no id.

        Args:
            words: All words of the text, in order.
            min_count: Words that occur less often get no id.
            at_most: How many words get an id, the most frequent first, not counting
                `<unk>` and `<eos>`; None: all.
        """
        counts = collections.Counter(words).most_common()
        known = [w for w, n in counts if n >= min_count and len(w) <= LONGEST_WORD]
        return cls(dict.fromkeys([*known[:at_most], UNKNOWN, EOS]))

    @property
    def unknown_id(self) -> int:
        """The id of all words that have none of their own."""
        return self._ids[UNKNOWN]

    @property
    def size(self) -> int:
        """Number of ids."""
        return len(self.words)

    @property
    def known(self) -> str:
        """A description of the known words."""
        return f"{self.size:,} words; {UNKNOWN} stands for any other"

    def encode(self, text: str | list[str]) -> np.ndarray:
        """Encodes a text as ids.

        Args:
            text: Any text, or a list of its words.

        Returns:
            int32 array `(words,)`, values in `[0, size)`.
        """
        words = as_words(text) if isinstance(text, str) else text
        unknown = self.unknown_id
        return np.array([self._ids.get(word, unknown) for word in words], np.int32)

    def decode(self, ids: Iterable[int]) -> str:
        """Decodes ids to a text that can follow another text.

        Args:
            ids: Integers in `[0, size)`.

        Returns:
            A space and a word for each id; a line break, without a space after it, for
            `<eos>`.
        """
        words = (self.words[int(i)] for i in ids)
        text = "".join("\n" if word == EOS else f" {word}" for word in words)
        return text.replace("\n ", "\n")

    def missing(self, text: str | list[str]) -> list[str]:
        """The distinct words of a text that have no id of their own, sorted."""
        words = as_words(text) if isinstance(text, str) else text
        return sorted(set(words) - set(self._ids))


def as_words(text: str) -> list[str]:
    """The words of a text, with `<eos>` at the end of each line, even an empty one.

    A last line without a line break gets no `<eos>`.
    """
    return text.replace("\n", f" {EOS} ").split()
