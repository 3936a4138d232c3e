"""The parts of a data set; a preset is measured on one of them."""

from __future__ import annotations

PARTS = ("train", "validation", "test")
