"""What tuning takes from Optuna without a public name for it (written for 4 and 5)."""

from __future__ import annotations

from typing import Any


def id_of(frozen: Any) -> int:
    """What a `FrozenTrial` is called in its study's storage.

    A `Trial` that goes on with it is made from that.
    """
    return frozen._trial_id
