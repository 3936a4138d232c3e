"""Where prepared data sets are kept."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`$BPTT_ZOO_CACHE`, or `~/.cache/bptt_zoo` where that is unset or empty."""
    return Path(os.environ.get("BPTT_ZOO_CACHE") or "~/.cache/bptt_zoo").expanduser()
