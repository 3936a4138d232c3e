"""How a user says how files are read."""

from __future__ import annotations

import dataclasses


@dataclasses.dataclass(frozen=True)
class Option:
    """One way to say how a user's own data are read.

    Args:
        name: Of the argument of `Task.from_file`; on the command line with dashes.
        help: One line.
        metavar: Such as "FILE".
        kind: `str`, `int` or `float`.
        choices: What may be given; None: anything.
    """

    name: str
    help: str
    metavar: str = "NAME"
    kind: type = str
    choices: tuple[str, ...] | None = None

    @property
    def names_files(self) -> bool:
        """Whether a file or a folder may be given."""
        return self.choices is None and self.metavar.endswith(("FILE", "PATH"))
