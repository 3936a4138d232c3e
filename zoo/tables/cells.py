"""Converts fields of a table to numbers: points, commas, thousands, missing values."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from zoo.system.errors import UserError

if TYPE_CHECKING:
    import pandas as pd

# Texts that mean a missing value.
MISSING = (
    *("", "NA", "N/A", "n/a", "na", "#N/A", "NaN", "nan", "-nan", "NAN", "<NA>"),
    *("null", "NULL", "Null", "None", "none", "missing", "-", "--", "?", ".", "*"),
)
POINT = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?"
THOUSANDS = r"[+-]?\d{1,3}(,\d{3})+(\.\d*)?"
COMMA = r"[+-]?(\d{1,3}(\.\d{3})+|\d+)(,\d*)?([eE][+-]?\d+)?|[+-]?,\d+"
_NUMBER = re.compile(f"{POINT}|{THOUSANDS}|{COMMA}")
# In a number that matches one of these, the comma cannot be of the other kind.
_SURELY_COMMA = re.compile(r"[+-]?(\d*,(\d{1,2}|\d{4,})|\d{4,},\d+|\d+(\.\d{3})+,\d+)")
_SURELY_THOUSANDS = re.compile(r"[+-]?\d{1,3}(,\d{3}){2,}(\.\d*)?|.*,\d{3}\.\d*")


def is_number(text: str) -> bool:
    """Whether a field is a number in any of the supported notations."""
    return len(text) < 100 and _NUMBER.fullmatch(text) is not None


def decimal_sign(
    columns: Iterable[Iterable[str]], delimiter: str, given: str | None
) -> str:
    """Finds the decimal sign of a table.

    Args:
        columns: Lists of texts that are not all plain numbers.
        delimiter: Delimiter of the fields.
        given: "point", "comma", or None to look at the values.

    Returns:
        "point" or "comma".

    Raises:
        UserError: If the meaning of commas is ambiguous, or they have both meanings.
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
    """Converts texts to numbers.

    Args:
        texts: A pandas `Series` of text, NaN where a value is missing.
        sign: What `decimal_sign` returned.

    Returns:
        `(values, wrong)`: float64, NaN where there is no number; and booleans, True
        where a text is not a number.
    """
    # pandas: put off.
    import pandas as pd

    texts = texts.astype("str").str.strip() if texts.dtype != object else texts
    missing = texts.isna() | texts.isin(MISSING)
    plain = texts.where(~missing, "").astype(str).str.strip()
    pattern = COMMA if sign == "comma" else f"{POINT}|{THOUSANDS}"
    # A very long field is not a number, and is slow to match.
    fits = plain.str.len().lt(100) & plain.str.slice(0, 100).str.fullmatch(pattern)
    if sign == "comma":
        plain = plain.str.replace(".", "", regex=False)
        plain = plain.str.replace(",", ".", regex=False)
    else:
        plain = plain.str.replace(",", "", regex=False)
    values = pd.to_numeric(plain.where(fits), errors="coerce").to_numpy(float)
    return values, (~fits & ~missing).to_numpy(bool)
