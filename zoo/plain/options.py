"""Options for reading the user's own files."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Option:
    """An option for reading the user's own data.

    Args:
        name: Name of the argument of `Task.from_file`; on the command line it has
            dashes.
        help: Help text in one line.
        metavar: Name of its value in the help, such as "FILE".
        kind: `str`, `int` or `float`.
        choices: The allowed values; None: any.
    """

    name: str
    help: str
    metavar: str = "NAME"
    kind: type = str
    choices: tuple[str, ...] | None = None

    @property
    def names_files(self) -> bool:
        """Whether the value may be a file or a folder."""
        return self.choices is None and self.metavar.endswith(("FILE", "PATH"))
