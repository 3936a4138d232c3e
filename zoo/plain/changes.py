"""Describes the differences between two dicts of plain values."""

from __future__ import annotations


def differences(old: dict, new: dict) -> list[str]:
    """The entries of two (nested) dicts that differ, with both values, in words."""
    found = []
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name, "not there"), new.get(name, "not there")
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after)
        elif before != after:
            found.append(f"{name} was {before}, is {after}")
    return found
