"""How a table of the user's own is read: options of the command line."""

from __future__ import annotations

from zoo.tables.gaps import FILLS
from zoo.tasks.task import Option

OPTIONS = (
    Option(
        "columns_used",
        "columns of the table to use (default: all of numbers that change)",
        metavar="A,B",
    ),
    Option(
        "time",
        "column that says when a row was; none: there is none (default: the first "
        "with dates, Unix times or years)",
        metavar="COLUMN",
    ),
    Option(
        "fill",
        "what becomes of missing values: on the line between their neighbours, the "
        "last value, or without the row (default: refused)",
        choices=FILLS,
    ),
    Option(
        "decimal",
        "sign of fractions (default: as the values show)",
        choices=("point", "comma"),
    ),
    Option(
        "heading",
        "whether the first row has names (default: as it shows)",
        choices=("yes", "no"),
    ),
)
# Of a table that is trained on.
FRACTIONS = (
    Option(
        "validation",
        "fraction of the rows that validates, before those that test (default: 0.1, "
        "of fewer than 1,000 rows 0.2)",
        metavar="FRACTION",
        kind=float,
    ),
    Option(
        "test",
        "fraction of the rows that tests, the last ones (default: 0.2)",
        metavar="FRACTION",
        kind=float,
    ),
)
