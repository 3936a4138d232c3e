"""The zoo's two kinds of error, which have different exit codes."""

from __future__ import annotations


class ZooError(Exception):
    """A failure beyond the user's control: no network, a full disk (exit code 1).

    Example:
        import zoo

        try:
            zoo.from_preset("no such preset")
        except zoo.ZooError as error:
            print(error)
    """


class UserError(ZooError):
    """An invalid request: a wrong option, a broken file (exit code 2).

    Example:
        import zoo

        try:
            zoo.generate(zoo.from_preset("python-topics"), "")
        except zoo.UserError as error:
            assert "at least one character" in str(error)
    """
