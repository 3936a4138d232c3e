"""What differs between two dicts of plain values, in words."""

from __future__ import annotations


def differences(old: dict, new: dict) -> list[str]:
    """Entries of two dicts that differ, with both values; in dicts in them likewise."""
    found = []
    for name in dict.fromkeys([*old, *new]):
        before, after = old.get(name, "not there"), new.get(name, "not there")
        if isinstance(before, dict) and isinstance(after, dict):
            found += differences(before, after)
        elif before != after:
            found.append(f"{name} was {before}, is {after}")
    return found
