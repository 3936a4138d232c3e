"""The parts (splits) of a data set; a preset is evaluated on one of them."""

from __future__ import annotations

PARTS = ("train", "validation", "test")
