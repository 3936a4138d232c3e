"""Splits the lines of a table into columns: delimiter, heading, number of fields."""

from __future__ import annotations

import collections
import dataclasses
import io
import unicodedata
from typing import TYPE_CHECKING

from zoo.system.errors import UserError
from zoo.tables.cells import MISSING, is_number
from zoo.tables.content import QUOTED, Lines
from zoo.tables.times import format_of

if TYPE_CHECKING:
    import pandas as pd

# In order of preference: a comma may belong to a number.
DELIMITERS = ("\t", ";", "|", ",")
SAMPLE = 50  # rows for finding the delimiter and the heading
LONGEST_NAME = 200
MOST_COLUMNS = 5_000
MOST_FIELDS = 20_000_000


@dataclasses.dataclass(frozen=True)
class Layout:
    """A table as rows of fields.

    Args:
        names: Unique names of the columns.
        rows: The lines of the rows.
        numbers: Line numbers of the rows in the file, counted from 1.
        delimiter: Delimiter of the fields.
        notes: Remarks for the user about how the table was read.
    """

    names: list[str]
    rows: list[str]
    numbers: list[int]
    delimiter: str
    notes: tuple[str, ...] = ()

    def frame(self, dtype: type | None = None) -> pd.DataFrame:
        """The fields as a pandas `DataFrame`, with columns numbered from 0.

        Args:
            dtype: `str` keeps all fields as text. None: a column becomes numbers if all
                its values are numbers; missing values are NaN.
        """
        return _frame(self.rows, self.delimiter, len(self.names), dtype)


def lay_out(lines: Lines, heading: str | None) -> Layout:
    """Finds delimiter and heading, and checks that each row has a field per column.

    Args:
        lines: The lines of the file.
        heading: "yes", "no", or None to look at the first row.

    Raises:
        UserError: If rows differ in their number of fields, or names are not unique.
    """
    lines = _single_spaced(lines)
    texts, numbers = lines.texts, lines.numbers
    delimiter = lines.delimiter or _delimiter(texts[:SAMPLE])
    widths = [_fields(text, delimiter) for text in texts]
    usual = collections.Counter(widths[1:] or widths).most_common(1)[0][0]
    if usual > MOST_COLUMNS:
        raise UserError(
            f"`--data` has {usual:,} columns; at most {MOST_COLUMNS:,} are read."
        )
    if usual * len(texts) > MOST_FIELDS:
        raise UserError(
            f"`--data` has {len(texts):,} lines of {usual:,} fields; at most "
            f"{MOST_FIELDS:,} fields are read."
        )
    first = widths[0] == usual - 1
    for width, number in list(zip(widths, numbers, strict=True))[first:]:
        if width != usual:
            raise UserError(
                f"`--data` cannot be read as a table: line {number} has {width} "
                f"{_plural(width, 'field')}, others have {usual}."
            )
    notes: tuple[str, ...] = ()
    comment = lines.comment or ""
    if first:  # The first column holds the names of the rows and has no name.
        named, rows = _cells(texts[0], delimiter, usual - 1), texts[1:]
        names = ["row", *named]
    elif heading == "yes" or heading is None and _has_heading(texts, delimiter, usual):
        names, rows = _cells(texts[0], delimiter, usual), texts[1:]
    elif heading is None and _fields(comment, delimiter) == usual > 1:
        names, rows = _cells(comment, delimiter, usual), texts
    else:
        names, rows = [f"column{i}" for i in range(1, usual + 1)], texts
        shown = names[0] if usual == 1 else f"{names[0]} ... {names[-1]}"
        notes = (f"no heading: named {shown}",)
    if not rows:
        raise UserError("`--data` needs a heading and at least one row.")
    return Layout(_checked(names), rows, numbers[-len(rows) :], delimiter, notes)


def _single_spaced(lines: Lines) -> Lines:
    """Replaces spaces between columns by tabs, if there is no other delimiter."""
    if lines.delimiter or any(d in t for t in lines.texts[:SAMPLE] for d in DELIMITERS):
        return lines
    texts = ["\t".join(text.split()) for text in lines.texts]
    if len({text.count("\t") for text in texts}) > 1:
        return lines
    return dataclasses.replace(lines, texts=texts)


def _delimiter(sample: list[str]) -> str:
    """The delimiter that splits most lines into the same number of fields, above 1."""

    def agreeing(delimiter: str) -> float:
        widths = [_fields(text, delimiter) for text in sample]
        width, times = collections.Counter(widths).most_common(1)[0]
        if width == 1:
            return 0.0
        # 1,5 below a heading without a comma is a decimal comma.
        return 0.0 if widths[0] == 1 else times / len(widths)

    found = {delimiter: agreeing(delimiter) for delimiter in DELIMITERS}
    best = max(found.values())
    if best == 0:
        # There is only one column: choose a delimiter that does not split it.
        unused = (d for d in (",", ";", "\t", "|") if _fields(sample[-1], d) == 1)
        return next(unused, ",")
    return next(d for d in DELIMITERS if found[d] > best - 0.1)


def _fields(text: str, delimiter: str) -> int:
    if '"' in text:
        text = QUOTED.sub("", text)
    return text.count(delimiter) + 1


def _cells(text: str, delimiter: str, width: int) -> list[str]:
    row = _frame([text], delimiter, width, str).iloc[0]
    return ["" if value != value else value.strip() for value in row]


def _frame(
    rows: list[str], delimiter: str, width: int, dtype: type | None
) -> pd.DataFrame:
    # pandas: put off.
    import pandas as pd

    try:
        return pd.read_csv(
            io.StringIO("\n".join(rows)),
            sep=delimiter,
            header=None,
            names=range(width),
            index_col=False,
            dtype=dtype,
            na_values=MISSING,
            keep_default_na=False,
            skipinitialspace=True,
            skip_blank_lines=False,
            low_memory=False,
        )
    except (pd.errors.ParserError, ValueError, OverflowError) as error:
        raise UserError(f"`--data` cannot be read as a table: {error}.") from None


def _has_heading(texts: list[str], delimiter: str, width: int) -> bool:
    """Whether the first row has text where others have numbers or dates."""
    if len(texts) < 2:
        return True
    first = _cells(texts[0], delimiter, width)
    sample = _frame(texts[1 : 1 + SAMPLE], delimiter, width, str)
    pairs = []
    for i, value in enumerate(first):
        rest = [v for v in sample[i] if v == v]
        # Look for dates in the first columns only, because it is slow.
        pairs.append([_kind(values, dates=i < 20) for values in ([value], rest)])
    if any(a == "text" and b in ("number", "date") for a, b in pairs):
        return True
    return not any(a == b != "text" for a, b in pairs if b != "nothing")


def _kind(values: list[str], *, dates: bool) -> str:
    values = [value.strip() for value in values if value.strip()]
    if not values or values[0] in MISSING:
        return "nothing"
    numbers = sum(is_number(value) for value in values)
    if 2 * numbers >= len(values):
        return "number"
    return "date" if dates and format_of(values) else "text"


def _checked(names: list[str]) -> list[str]:
    """Checks that names can be shown and are unique."""
    names = [
        "".join(" " if unicodedata.category(c)[0] == "C" else c for c in name).strip()
        for name in names
    ]
    names = [name or f"column{place}" for place, name in enumerate(names, start=1)]
    longest = max(names, key=len)
    if len(longest) > LONGEST_NAME:
        raise UserError(
            f"`--data` has a heading of {len(longest):,} characters: {longest[:20]}... "
            f"At most {LONGEST_NAME} are read."
        )
    twice = [name for name, times in collections.Counter(names).items() if times > 1]
    if twice:
        raise UserError(
            f"`--data` has headings that several columns share: "
            f"{', '.join(twice[:5])}. Rename them, each column is known by its name."
        )
    return names


def _plural(count: int, word: str) -> str:
    return word if count == 1 else f"{word}s"
