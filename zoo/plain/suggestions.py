"""What a word with a typing error may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A question to put behind an error, or "" where nothing is near.

    Args:
        word: What was received.
        known: What could have been meant.

    Example:
        from zoo.plain.suggestions import did_you_mean

        assert did_you_mean("ecko-8", ["echo-8", "etth1"]) == " Did you mean echo-8?"
    """
    near = {name.lower(): name for name in known}
    found = difflib.get_close_matches(word.lower(), near, n=1, cutoff=0.6)
    return f" Did you mean {near[found[0]]}?" if found else ""
