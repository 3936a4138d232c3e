"""The zoo's two kinds of error, told apart by the command line's exit code."""

from __future__ import annotations


class ZooError(Exception):
    """A failure that is not the user's doing: no network, a full disk (exit code 1)."""


class UserError(ZooError):
    """A request that cannot be served: a wrong option, a broken file (exit code 2)."""
