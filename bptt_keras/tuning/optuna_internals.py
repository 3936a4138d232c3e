"""Everything that tuning uses of Optuna's private interface (written for 4 and 5)."""

from __future__ import annotations

from typing import Any


def id_of(frozen: Any) -> int:
    """The id of a `FrozenTrial` in the storage of its study.

    A `Trial` that continues it is created from this id.
    """
    return frozen._trial_id
