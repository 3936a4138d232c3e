"""Options for reading the user's own table, and those that a preset stores."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from zoo.plain.json_values import are_texts
from zoo.plain.options import Option
from zoo.tables.gaps import FILLS

OPTIONS = (
    Option(
        "columns_used",
        "columns of the table to use (default: all of numbers that change)",
        metavar="A,B",
    ),
    Option(
        "time",
        "column with the times of the rows; none: there is none (default: the first "
        "with dates, Unix times or years)",
        metavar="COLUMN",
    ),
    Option(
        "fill",
        "how to fill in missing values: on the line between their neighbours, with "
        "the last value, or by leaving out the row (default: refused)",
        choices=FILLS,
    ),
    Option(
        "decimal",
        "decimal sign (default: as the values show)",
        choices=("point", "comma"),
    ),
    Option(
        "heading",
        "whether the first row has names (default: as it shows)",
        choices=("yes", "no"),
    ),
)
# Options for a table to train on.
FRACTIONS = (
    Option(
        "validation",
        "fraction of the rows for validation, before those for the test (default: "
        "0.1, of fewer than 1,000 rows 0.2)",
        metavar="FRACTION",
        kind=float,
    ),
    Option(
        "test",
        "fraction of the rows for the test, the last ones (default: 0.2)",
        metavar="FRACTION",
        kind=float,
    ),
)


def reading_of(processing: dict, options: Sequence[Option]) -> dict[str, Any]:
    """Options of `read_table` that read other tables the way a preset's was read.

    Args:
        processing: The preset's processing. Values that are not options are ignored.
        options: The known options.

    Returns:
        The options, and the columns that the model needs.
    """
    known = processing.get("reading")
    known = known if isinstance(known, dict) else {}
    reading = {
        option.name: known[option.name]
        for option in options
        if option.name != "columns_used"
        and type(known.get(option.name)) is option.kind
        and (option.choices is None or known[option.name] in option.choices)
    }
    columns = processing.get("columns")
    return {**reading, "needed": tuple(columns) if are_texts(columns) else ()}
