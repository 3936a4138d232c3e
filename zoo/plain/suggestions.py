"""Suggests a correction for a mistyped word."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question to append to an error, or "" if no word is similar.

    Args:
        word: The word received.
        known: The words that may have been meant.

    Example:
        from zoo.plain.suggestions import did_you_mean

        assert did_you_mean("ecko-8", ["echo-8", "etth1"]) == " Did you mean echo-8?"
    """
    near = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), near, n=1, cutoff=0.6)
    return f" Did you mean {near[found[0]]}?" if found else ""
