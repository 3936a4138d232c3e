"""The columns of a table as numbers or texts."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

import numpy as np

from zoo.tables.cells import decimal_sign, is_number, to_numbers
from zoo.tables.layout import Layout

if TYPE_CHECKING:
    import pandas as pd


@dataclasses.dataclass(frozen=True)
class Fields:
    """The columns of a table.

    Args:
        names: Names of all columns.
        lines: Line number of each row in the file.
        numbers: Values of the columns of numbers, NaN where there is none.
        texts: The other columns, pandas `Series`, NaN where a value is missing.
        wrong: Texts in columns of numbers that are not numbers, by row.
    """

    names: list[str]
    lines: list[int]
    numbers: dict[str, np.ndarray]
    texts: dict[str, pd.Series]
    wrong: dict[str, dict[int, str]]

    def example(self, name: str) -> str:
        """A value of a text column with its line number."""
        known = self.texts[name].dropna()
        if not len(known):
            return "nothing"
        return f"{str(known.iloc[0])[:40]!r} in line {self.lines[known.index[0]]}"


def read_fields(layout: Layout, decimal: str | None) -> Fields:
    """Converts the columns of a table to numbers where possible.

    A column counts as numbers if at least half of its values are numbers.

    Args:
        layout: The table.
        decimal: As for `read_table`.

    Raises:
        UserError: If the meaning of commas in numbers is ambiguous.
    """
    frame = layout.frame()
    odd = {i for i in frame.columns if frame[i].dtype.kind not in "iuf"}
    able = {i: _stripped(frame[i]) for i in odd if _may_be_numbers(frame[i])}
    known = (texts.dropna() for texts in able.values())
    sign = decimal_sign(known, layout.delimiter, decimal)
    if sign == "comma":  # 1.234 means 1234: read the texts again.
        frame = layout.frame(str)
        odd = set(frame.columns)
        able = {i: _stripped(frame[i]) for i in odd if _may_be_numbers(frame[i])}
    numbers: dict[str, np.ndarray] = {}
    others: dict[str, pd.Series] = {}
    wrong = {}
    for i, name in enumerate(layout.names):
        if i not in able:
            if i in odd:
                others[name] = frame[i]
            else:
                numbers[name] = frame[i].to_numpy(float)
            continue
        values, bad = to_numbers(able[i], sign)
        count = np.isfinite(values).sum()
        if count < bad.sum() or not count and able[i].notna().any():
            others[name] = able[i]
            continue
        numbers[name] = values
        wrong[name] = {int(row): able[i].iloc[row] for row in np.flatnonzero(bad)}
    return Fields(layout.names, layout.numbers, numbers, others, wrong)


def _may_be_numbers(column: pd.Series) -> bool:
    """Whether a hundred values include a number, or are all missing."""
    values = column.to_numpy(object)
    sample = values[:: max(1, len(values) // 100)]
    texts = [str(value).strip() for value in sample if value == value]
    return any(map(is_number, texts)) or (not texts and column.isna().all())


def _stripped(column: pd.Series) -> pd.Series:
    """The texts without surrounding spaces."""
    return column.where(column.isna(), column.astype(str).str.strip())
