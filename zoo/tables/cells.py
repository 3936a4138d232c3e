"""Fields of a table as numbers: points, commas, thousands, what is missing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from zoo.system.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

# What stands for a value that is missing.
MISSING = (
    *("", "NA", "N/A", "n/a", "na", "#N/A", "NaN", "nan", "-nan", "NAN", "<NA>"),
    *("null", "NULL", "Null", "None", "none", "missing", "-", "--", "?", ".", "*"),
)
POINT = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
THOUSANDS = r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?"
COMMA = r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d*)?([eE][+-]?\d+)?|[+-]?,\d+"
_NUMBER = re.compile(f"{POINT}|{THOUSANDS}|{COMMA}")
# A comma of these cannot be the other kind.
_SURELY_COMMA = re.compile(r"[+-]?(\d*,(\d{1,2}|\d{4,})|\d{4,},\d+|\d+(\.\d{3})+,\d+)")
_SURELY_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3}){2,}(\.\d*)?|.*,\d{3}\.\d*")


def is_number(text: str) -> bool:
    """Whether a field is a number in any of the ways that are read."""
    return len(text) < 100 and _NUMBER.fullmatch(text) is not None


def decimal_sign(
    columns: Iterable[Iterable[str]], delimiter: str, given: str | None
) -> str:
    """Which sign the table's fractions have.

    Args:
        columns: Lists of texts that are not all plain numbers.
        delimiter: Between the fields.
        given: "point", "comma", or None to look at the values.

    Returns:
        "point" or "comma".

    Raises:
        UserError: If commas may be either, or are both.
    """
    if given is not None:
        return given
    comma = thousands = either = None
    for values in columns:
        for value in values:
            if "," not in value or not is_number(value):
                continue
            if _SURELY_COMMA.fullmatch(value):
                comma = comma or value
            elif _SURELY_THOUSANDS.fullmatch(value):
                thousands = thousands or value
            else:
                either = either or value
    if comma and thousands:
        raise UserError(
            f"`--data` has commas of both kinds: {comma} and {thousands}. Say by "
            "`--decimal point` or `--decimal comma` which one is meant."
        )
    if either and not (comma or thousands) and delimiter != ",":
        raise UserError(
            f"`--data` has numbers such as {either}, whose comma may be one of "
            "thousands or of decimals. Say so by `--decimal point` or `--decimal "
            "comma`."
        )
    return "comma" if comma else "point"


def to_numbers(texts: pd.Series, sign: str) -> tuple[np.ndarray, np.ndarray]:
    """Texts as numbers.

    Args:
        texts: A pandas `Series` of text, NaN where a value is missing.
        sign: Of `decimal_sign`.

    Returns:
        `(values, wrong)`: float64, NaN where there is no number; and where there
        is a text that is no number.
    """
    # pandas: put off.
    import pandas as pd

    texts = texts.astype("str").str.strip() if texts.dtype != object else texts
    missing = texts.isna() | texts.isin(MISSING)
    plain = texts.where(~missing, "").astype(str).str.strip()
    pattern = COMMA if sign == "comma" else f"{POINT}|{THOUSANDS}"
    # A field as long as a line is no number, and not worth matching.
    fits = plain.str.len().lt(100) & plain.str.slice(0, 100).str.fullmatch(pattern)
    if sign == "comma":
        plain = plain.str.replace(".", "", regex=False)
        plain = plain.str.replace(",", ".", regex=False)
    else:
        plain = plain.str.replace(",", "", regex=False)
    values = pd.to_numeric(plain.where(fits), errors="coerce").to_numpy(float)
    return values, (~fits & ~missing).to_numpy(bool)
