"""Time series in tables: transformer temperatures and sunspots."""

from __future__ import annotations

import csv
import io
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from zoo.datasets.builder import ZooBuilder
from zoo.datasets.files import File

_ETT = "https://raw.githubusercontent.com/zhouhaoyi/ETDataset/main/ETT-small/"
_SERIES = "https://raw.githubusercontent.com/jbrownlee/Datasets/master/"


class _Table(ZooBuilder):
    """The numeric columns of a CSV file, row by row in order of time.

    Attributes:
        COLUMNS: Number of columns.
    """

    COLUMNS = 1

    def features(self) -> dict[str, Any]:
        return {
            "values": tfds.features.Tensor(
                shape=(None, self.COLUMNS), dtype=np.float32
            ),
            "columns": tfds.features.Sequence(tfds.features.Text()),
        }

    def parts(self) -> dict[str, Any]:
        (file,) = self.FILES
        columns, values = read_csv(self.contents[file.path].decode("utf-8"))
        return {"series": [{"values": np.float32(values), "columns": columns}]}


class EttH1(_Table):
    """Oil temperature and six loads of an electricity transformer, hour by hour.

    17,420 hours from July 2016 on. Usual split: 12, 4 and 4 months of 30 days.

    Source: Zhou et al., "Informer" (2021).
    """

    COLUMNS = 7

    FILES = (
        File(
            "ettsmall/ETTh1.csv",
            _ETT + "ETTh1.csv",
            2_589_657,
            "f18de3ad269cef59bb07b5438d79bb3042d3be49bdeecf01c1cd6d29695ee066",
        ),
    )
    DESCRIPTION = "Hourly oil temperature and loads of an electricity transformer."
    HOMEPAGE = "https://github.com/zhouhaoyi/ETDataset"
    LICENCE = "CC BY-ND 4.0"
    CITATION = """@inproceedings{zhou2021informer,
  title={Informer: Beyond efficient transformer for long sequence time-series
    forecasting},
  author={Zhou, Haoyi and Zhang, Shanghang and Peng, Jieqi and Zhang, Shuai and Li,
    Jianxin and Xiong, Hui and Zhang, Wancai},
  booktitle={AAAI}, year={2021}}"""


class Sunspots(_Table):
    """Monthly mean numbers of sunspots, 1749 to 1983: 2,820 months."""

    FILES = (
        File(
            "small_series/monthly-sunspots.csv",
            _SERIES + "monthly-sunspots.csv",
            45_039,
            "c4ec8cc57d9f6fb6ecdb3e1f37f25b6f4badd5124c55931052b0cd2fc3bc71f3",
        ),
    )
    DESCRIPTION = "Monthly mean numbers of sunspots, 1749 to 1983."
    HOMEPAGE = "https://github.com/jbrownlee/Datasets"


def read_csv(text: str) -> tuple[list[str], np.ndarray]:
    """Reads names and values of the numeric columns of a table with a heading.

    A column whose first value is not a number, such as a date, is left out.

    Args:
        text: Lines of values separated by commas, semicolons or tabs.

    Returns:
        `(columns, values)`, values `(rows, columns)` in float64.

    Raises:
        ValueError: If there are no rows or no numeric columns, or a value is missing or
            not a number; the message names line and column.
    """
    lines = [line for line in text.splitlines() if line.strip()]
    if len(lines) < 2:
        raise ValueError("it needs a heading and at least one row")
    delimiter = max(",;\t", key=lines[0].count)
    rows = list(csv.reader(io.StringIO("\n".join(lines)), delimiter=delimiter))
    heading, first = [name.strip() for name in rows[0]], rows[1]
    numeric = [i for i, value in enumerate(first) if _number(value) is not None]
    if not numeric:
        raise ValueError("no column is numeric")
    values = np.empty((len(rows) - 1, len(numeric)))
    for line, row in enumerate(rows[1:]):
        for place, column in enumerate(numeric):
            value = _number(row[column]) if column < len(row) else None
            if value is None or not np.isfinite(value):
                name = heading[column] if column < len(heading) else column + 1
                raise ValueError(
                    f"line {line + 2}, column {name!r}: a number is missing. Fill the "
                    "gap, or leave that column out"
                )
            values[line, place] = value
    return [heading[i] if i < len(heading) else str(i + 1) for i in numeric], values


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
