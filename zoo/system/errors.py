"""The zoo's two kinds of error, which have different exit codes."""

from __future__ import annotations


class ZooError(Exception):
    """A failure beyond the user's control: no network, a full disk (exit code 1)."""


class UserError(ZooError):
    """An invalid request: a wrong option, a broken file (exit code 2)."""
